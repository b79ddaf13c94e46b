// SPDX-License-Identifier: MIT
//
// A plugin module for tests with processes: asks a server of the test's what to do in each call,
// one line there and one line back.
//
//   it says      "RESOURCE CALL\n"
//   it is told   "ok TEXT"         to succeed; TEXT is the position, for hold and check
//                "ok null"         for hold: success without a hold
//                "error CODE TEXT" to fail with this error
//                "throw TEXT"      to throw an exception
//                "deaf"            to wait for interrupt(), whatever the deadline
//                "stuck"           never to come back
//                nothing           and it waits, as long as it may
//
// The connection is the session: the server knows what is locked by whom, and that a session which
// has ended holds nothing.
#include <poll.h>
#include <sys/socket.h>

#include <stdexcept>
#include <utility>

#include "api/plugin.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "base/unix_socket.h"
#include "base/waker.h"

namespace holdfast::support {

namespace {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

class Session {
 public:
  explicit Session(std::string resource) : resource_(std::move(resource)) {}

  [[nodiscard]] int fd() const { return fd_.get(); }
  void close() { fd_.reset(); }

  [[nodiscard]] Result<void> connect(const std::string& socket, Deadline deadline) {
    if (fd_.valid()) return {};
    waker_.reset();
    buffer_.clear();
    auto fd = base::connect_unix(socket, deadline);
    if (!fd) return std::move(fd).error();
    fd_ = std::move(*fd);
    return {};
  }

  // Any failure but one that the server names ends the session, and with it the lock.
  [[nodiscard]] Result<std::string> call(const std::string& name, Deadline deadline,
                                         const std::stop_token& stop) {
    if (!fd_.valid()) return Error(ErrorCode::kUnreachable, "not connected");
    if (auto sent = base::send_all(fd_.get(), resource_ + " " + name + "\n", deadline); !sent) {
      fd_.reset();
      return std::move(sent).error();
    }
    auto reply = receive(deadline, stop);
    if (!reply) {
      fd_.reset();
      return std::move(reply).error();
    }
    return obey(*reply);
  }

  [[nodiscard]] bool hung_up() const {
    pollfd watched{fd_.get(), POLLRDHUP, 0};
    return !fd_.valid() || (::poll(&watched, 1, 0) > 0 && watched.revents != 0);
  }

  void interrupt() {
    if (fd_.valid()) (void)::shutdown(fd_.get(), SHUT_RDWR);
    waker_.interrupt();
  }

 private:
  [[nodiscard]] Result<std::string> receive(Deadline deadline, const std::stop_token& stop) {
    for (;;) {
      if (const auto end = buffer_.find('\n'); end != std::string::npos) {
        std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return line;
      }
      if (auto ready = waker_.wait(fd_.get(), POLLIN, deadline, stop); !ready) {
        return std::move(ready).error();
      }
      std::string piece(512, '\0');
      const ssize_t count = ::recv(fd_.get(), piece.data(), piece.size(), MSG_DONTWAIT);
      if (count <= 0) return Error(ErrorCode::kUnreachable, "the server closed the session");
      buffer_.append(piece, 0, static_cast<std::size_t>(count));
    }
  }

  [[nodiscard]] Result<std::string> obey(const std::string& reply) {
    const std::string word = reply.substr(0, reply.find(' '));
    const std::string rest = reply.size() > word.size() ? reply.substr(word.size() + 1) : "";
    if (word == "ok") return rest;
    if (word == "throw") throw std::runtime_error(rest);
    if (word == "deaf") {
      (void)waker_.wait(-1, 0, Deadline::in(std::chrono::hours(1)), {});
      fd_.reset();
      return Error(ErrorCode::kCancelled, "interrupted");
    }
    if (word == "stuck") {
      for (;;)
        (void)::poll(nullptr, 0, -1);
    }
    const std::string code = rest.substr(0, rest.find(' '));
    return Error(base::error_code_named(code).value_or(ErrorCode::kRefused),
                 rest.size() > code.size() ? rest.substr(code.size() + 1) : rest);
  }

  std::string resource_;
  base::UniqueFd fd_;
  base::Waker waker_;
  std::string buffer_;
};

class FakeModuleHold final : public api::Hold {
 public:
  FakeModuleHold(Session& session, const std::string& position)
      : session_(session), position_{{"lsn", position}} {}
  ~FakeModuleHold() override {
    if (!released_) session_.close();
  }

  [[nodiscard]] const api::Identity& identity() const override { return identity_; }
  [[nodiscard]] const api::Position& position() const override { return position_; }
  [[nodiscard]] int watch_fd() const override { return session_.fd(); }

  [[nodiscard]] Result<api::Position> check(Deadline deadline) override {
    auto reply = session_.call("check", deadline, {});
    if (!reply) return std::move(reply).error();
    api::Position position{{"lsn", *reply}};
    if (position != position_) {
      return Error(ErrorCode::kHoldLost,
                   "the position moved from " + position_[0].second + " to " + *reply);
    }
    return position;
  }

  [[nodiscard]] Result<void> release(Deadline deadline) override {
    if (std::exchange(released_, true)) return {};
    // What the server has ended holds nothing.
    if (session_.hung_up()) {
      session_.close();
      return {};
    }
    auto reply = session_.call("release", deadline, {});
    if (reply) return {};
    session_.close();
    return std::move(reply).error();
  }

 private:
  Session& session_;
  api::Identity identity_{"Fake", "1", "uuid", "1"};
  api::Position position_;
  bool released_ = false;
};

class FakeModulePlugin final : public api::Plugin {
 public:
  explicit FakeModulePlugin(api::PluginContext context)
      : Plugin(std::move(context)), session_(this->context().resource) {}

  [[nodiscard]] base::OptionTable option_table() const override {
    return {{.name = "socket",
             .type = base::OptionType::kPath,
             .help = "where the test's server listens",
             .required = true},
            {.name = "password",
             .type = base::OptionType::kText,
             .help = "never to be seen",
             .secret = true}};
  }

  [[nodiscard]] Result<api::ProbeReport> probe(Deadline deadline, std::stop_token stop) override {
    if (auto connected = session_.connect(options().text("socket"), deadline); !connected) {
      return std::move(connected).error();
    }
    auto reply = session_.call("probe", deadline, stop);
    if (!reply) {
      session_.close();
      return std::move(reply).error();
    }
    return api::ProbeReport{{"Fake", "1", "uuid", "1"}, {}};
  }

  [[nodiscard]] int watch_fd() const override { return session_.fd(); }

  [[nodiscard]] Result<void> prepare(const api::Window&, Deadline deadline,
                                     std::stop_token stop) override {
    auto reply = session_.call("prepare", deadline, stop);
    if (!reply) return std::move(reply).error();
    return {};
  }

  [[nodiscard]] Result<std::unique_ptr<api::Hold>> hold(const api::Window&, Deadline deadline,
                                                        std::stop_token stop) override {
    auto reply = session_.call("hold", deadline, stop);
    if (!reply) return std::move(reply).error();
    if (*reply == "null") return std::unique_ptr<api::Hold>();
    return std::unique_ptr<api::Hold>(std::make_unique<FakeModuleHold>(session_, *reply));
  }

  void rollback(Deadline deadline) override { (void)session_.call("rollback", deadline, {}); }
  void interrupt() override { session_.interrupt(); }

 private:
  [[nodiscard]] Result<void> do_finish_config() override { return {}; }

  Session session_;
};

}  // namespace

}  // namespace holdfast::support

HOLDFAST_PLUGIN_MODULE("fake", holdfast::support::FakeModulePlugin)
