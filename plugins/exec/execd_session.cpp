// SPDX-License-Identifier: MIT
#include "exec/execd_session.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <thread>
#include <utility>

#include "base/text.h"
#include "base/unix_socket.h"
#include "exec/exec_settings.h"
#include "exec/trust.h"

namespace holdfast::exec {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;
using base::UniqueFd;

namespace {

using std::chrono::seconds;

// A request is one short line, sent at once.
constexpr seconds kRequestTime{2};
constexpr seconds kReplyTime{2};
// For thawing what a client that went away has left.
constexpr seconds kUndoTime{10};
// A client in a hurry may leave no time at all for a `thaw`; a program that is killed before it has
// done anything has not been told.
constexpr seconds kLeastThawTime{2};

// Turns the end of a connection into a stop request, for as long as it lives.
class HangupWatcher {
 public:
  HangupWatcher(int connection, const std::stop_token& stop)
      : done_(::eventfd(0, EFD_CLOEXEC)),
        forward_(stop, Forward{&source_}),
        thread_([this, connection] { watch(connection); }) {}
  HangupWatcher(const HangupWatcher&) = delete;
  HangupWatcher& operator=(const HangupWatcher&) = delete;
  ~HangupWatcher() {
    const std::uint64_t one = 1;
    (void)!::write(done_.get(), &one, sizeof one);
  }

  [[nodiscard]] std::stop_token token() const { return source_.get_token(); }

 private:
  struct Forward {
    std::stop_source* source;
    void operator()() const { source->request_stop(); }
  };

  void watch(int connection) {
    std::array<pollfd, 2> watched{{{connection, POLLRDHUP, 0}, {done_.get(), POLLIN, 0}}};
    while (::poll(watched.data(), watched.size(), -1) < 0) {
    }
    if (watched[1].revents == 0) source_.request_stop();
  }

  std::stop_source source_;
  UniqueFd done_;
  std::stop_callback<Forward> forward_;
  std::jthread thread_;
};

// Waits for the next request, as long as it takes; false when a stop is requested.
bool await_request(int connection, int stopped) {
  for (;;) {
    std::array<pollfd, 2> watched{{{connection, POLLIN, 0}, {stopped, POLLIN, 0}}};
    if (::poll(watched.data(), watched.size(), -1) < 0) continue;
    return watched[1].revents == 0;
  }
}

}  // namespace

ExecdSession::ExecdSession(UniqueFd connection, const ExecdContext& context)
    : connection_(std::move(connection)), context_(context) {}

Result<void> ExecdSession::run(const std::stop_token& stop) {
  const UniqueFd stopped(::eventfd(0, EFD_CLOEXEC));
  const std::stop_callback on_stop(stop, [&stopped] {
    const std::uint64_t one = 1;
    (void)!::write(stopped.get(), &one, sizeof one);
  });
  std::string buffer;
  while (await_request(connection_.get(), stopped.get())) {
    auto line = base::receive_line(connection_.get(), buffer, kExecRequestLimit,
                                   Deadline::in(kRequestTime));
    if (!line) break;
    auto request = parse_exec_request(*line);
    const bool is_proper = request.has_value();
    const auto reply =
        is_proper ? answer(*request, stop) : Result<std::string>(std::move(request).error());
    auto sent =
        base::send_all(connection_.get(), format_exec_reply(reply), Deadline::in(kReplyTime));
    // Requests are not pipelined; what came early belongs to no client of ours.
    if (!sent || !is_proper || !buffer.empty()) break;
  }
  // The claim is given back, and the other side sees the end, only when the undoing is over.
  auto undone = thaw_unfinished();
  give_back_claim();
  return undone;
}

Result<void> ExecdSession::thaw_unfinished() {
  if (!executor_ || !executor_->owes()) return {};
  return executor_->thaw(Call{.window = window_, .deadline = Deadline::in(kUndoTime), .stop = {}});
}

void ExecdSession::give_back_claim() {
  if (std::exchange(claimed_, false)) context_.claims.give_back(resource_);
}

Result<std::string> ExecdSession::answer(const ExecRequest& request, const std::stop_token& stop) {
  if (!resource_.empty() && resource_ != request.resource) {
    return Error(ErrorCode::kUsage, "this connection serves '" + base::printable(resource_) + "'");
  }
  resource_ = request.resource;
  const Deadline deadline = Deadline::in(request.time_left);
  // Whoever may change what a program holds has the resource to itself.
  if (request.verb != ExecVerb::kProbe && request.verb != ExecVerb::kCheck && !claimed_) {
    if (auto taken = context_.claims.take(resource_, deadline, stop); !taken) {
      return std::move(taken).error();
    }
    claimed_ = true;
  }
  auto result = perform(request, stop);
  if (!executor_ || !executor_->owes()) {
    // Between `prepare` and `freeze` nothing need be owed; another session may then come first,
    // which is no harm, since the claim is taken again.
    give_back_claim();
  }
  return result;
}

Result<void> ExecdSession::load(const std::string& resource) {
  if (executor_ && executor_->owes()) return {};
  // A plain name: no '/' and no leading dot, so the file is in that directory.
  const std::string path = context_.resource_directory + "/" + resource + ".conf";
  if (auto trusted = require_trusted(path); !trusted) return trusted;
  auto settings = read_exec_settings(path);
  if (!settings) return std::move(settings).error();
  if (!settings->as_root) {
    return Error(ErrorCode::kRefused, "unable to run '" + base::printable(resource) +
                                          "' as root: " + base::printable(path) +
                                          " does not say 'as-root = yes'");
  }
  executor_ = std::make_unique<LocalExecutor>(std::move(*settings), resource, context_.processes,
                                              Trust::kRootOnly);
  return {};
}

Result<std::string> ExecdSession::perform(const ExecRequest& request, const std::stop_token& stop) {
  if (auto loaded = load(request.resource); !loaded) return std::move(loaded).error();
  const Deadline deadline = Deadline::in(request.time_left);
  Result<void> done;
  if (request.verb == ExecVerb::kThaw) {
    // A session that has begun nothing ends what was begun over one that is gone: all are told.
    if (!began_) {
      if (auto owed = executor_->owe_all(); !owed) return std::move(owed).error();
    }
    const Deadline end(std::max(deadline.at(), Deadline::in(kLeastThawTime).at()));
    done = executor_->thaw(Call{.window = request.window, .deadline = end, .stop = {}});
  } else {
    window_ = request.window;
    if (request.verb != ExecVerb::kProbe) began_ = true;
    const HangupWatcher watcher(connection_.get(), stop);
    const Call call{.window = request.window, .deadline = deadline, .stop = watcher.token()};
    switch (request.verb) {
      case ExecVerb::kProbe:
        return executor_->probe(call);
      case ExecVerb::kPrepare:
        done = executor_->prepare(call);
        if (done && !executor_->has_programs()) return std::string(kNothingToRun);
        break;
      case ExecVerb::kFreeze:
        done = executor_->freeze(call);
        break;
      case ExecVerb::kCheck:
        done = executor_->check(call);
        break;
      case ExecVerb::kThaw:
        break;
    }
  }
  if (!done) return std::move(done).error();
  return std::string();
}

}  // namespace holdfast::exec
