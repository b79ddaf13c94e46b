// SPDX-License-Identifier: MIT
#include "support/fake_plugin.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

namespace holdfast::support {

namespace {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

std::string name_of(FakeCall call) {
  switch (call) {
    case FakeCall::kProbe:
      return "probe";
    case FakeCall::kPrepare:
      return "prepare";
    case FakeCall::kHold:
      return "hold";
    case FakeCall::kCheck:
      return "check";
    case FakeCall::kExtend:
      return "extend";
    case FakeCall::kRelease:
      return "release";
    case FakeCall::kRollback:
      return "rollback";
  }
  return "unknown";
}

}  // namespace

// -- the server --------------------------------------------------------------------------------

void FakeServer::script(FakeCall call, FakeEnding ending) {
  const std::lock_guard lock(mutex_);
  script_[call] = ending;
}

bool FakeServer::hangs() const {
  const std::lock_guard lock(mutex_);
  return std::any_of(script_.begin(), script_.end(), [](const auto& scripted) {
    return scripted.second == FakeEnding::kHang || scripted.second == FakeEnding::kHangHard ||
           scripted.second == FakeEnding::kStuck;
  });
}

void FakeServer::connect() {
  if (client_.valid()) return;
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair.data()) != 0) {
    throw std::runtime_error("no socket pair");
  }
  client_.reset(pair[0]);
  server_.reset(pair[1]);
  ++sessions_;
}

// As a real server: the session's end is the lock's end.
void FakeServer::disconnect() {
  client_.reset();
  server_.reset();
  locked_ = false;
  cut_ = false;
}

void FakeServer::close_session() {
  const std::lock_guard lock(mutex_);
  server_.reset();
  locked_ = false;
}

void FakeServer::stall_nobody() {
  const std::lock_guard lock(mutex_);
  stalls_ = false;
}

void FakeServer::report_at_release(api::ReleaseReport report) {
  const std::lock_guard lock(mutex_);
  report_at_release_ = std::move(report);
}

void FakeServer::move_position() {
  const std::lock_guard lock(mutex_);
  ++position_;
}

void FakeServer::speak() {
  const std::lock_guard lock(mutex_);
  // The other end may have gone.
  (void)::send(server_.get(), "notice", 6, MSG_NOSIGNAL);
}

// As any client does that waits for the answer to a request of its own.
void FakeServer::hear() {
  std::array<char, 64> notices{};
  while (::recv(client_.get(), notices.data(), notices.size(), MSG_DONTWAIT) > 0) {
  }
}

void FakeServer::unstick() {
  const std::lock_guard lock(mutex_);
  unstuck_ = true;
  changed_.notify_all();
}

void FakeServer::interrupt() {
  const std::lock_guard lock(mutex_);
  interrupted_ = true;
  if (client_.valid()) (void)::shutdown(client_.get(), SHUT_RDWR);
  cut_ = true;
  locked_ = false;
  changed_.notify_all();
}

bool FakeServer::is_locked() const {
  const std::lock_guard lock(mutex_);
  return locked_;
}

std::optional<base::Millis> FakeServer::time_given(FakeCall call) const {
  const std::lock_guard lock(mutex_);
  const auto found = time_given_.find(call);
  if (found == time_given_.end()) return std::nullopt;
  return found->second;
}

bool FakeServer::is_connected() const {
  const std::lock_guard lock(mutex_);
  return client_.valid() && server_.valid();
}

Result<void> FakeServer::wait_for(FakeEnding ending, Deadline deadline,
                                  const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  interrupted_ = false;
  if (ending == FakeEnding::kHang) {
    (void)changed_.wait_until(lock, stop, deadline.at(), [this] { return interrupted_; });
    disconnect();
    return stop.stop_requested() || interrupted_ ? Error(ErrorCode::kCancelled, "cancelled")
                                                 : Error(ErrorCode::kTimedOut, "timed out");
  }
  changed_.wait(lock, [&] { return ending == FakeEnding::kStuck ? unstuck_ : interrupted_; });
  disconnect();
  return Error(ErrorCode::kCancelled, "interrupted");
}

Result<void> FakeServer::perform(FakeCall call, Deadline deadline, const std::stop_token& stop) {
  FakeEnding ending = FakeEnding::kSucceed;
  log_.add(name_ + " " + name_of(call));
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(busy_, true)) throw std::logic_error("two calls at once");
    time_given_[call] = deadline.remaining();
    if (const auto found = script_.find(call); found != script_.end()) ending = found->second;
  }
  Result<void> outcome;
  switch (ending) {
    case FakeEnding::kSucceed:
    case FakeEnding::kLose:
    case FakeEnding::kNothing:
    case FakeEnding::kLie:
      break;
    case FakeEnding::kFail:
      outcome = Error(ErrorCode::kRefused,
                      "unable to " + name_of(call) + " '" + name_ + "': access denied")
                    .with_hint("grant it");
      break;
    case FakeEnding::kMisconfigure:
      outcome = Error(ErrorCode::kMisconfigured, "'" + name_ + "' has no such database");
      break;
    case FakeEnding::kThrow:
    case FakeEnding::kThrowOther:
      break;
    case FakeEnding::kHang:
    case FakeEnding::kHangHard:
    case FakeEnding::kStuck:
      outcome = wait_for(ending, deadline, stop);
      break;
  }
  {
    const std::lock_guard lock(mutex_);
    busy_ = false;
  }
  if (ending == FakeEnding::kThrow) throw std::runtime_error("a bug in " + name_of(call));
  if (ending == FakeEnding::kThrowOther) throw 42;
  const std::lock_guard lock(mutex_);
  if (!outcome) return outcome;
  if (call == FakeCall::kHold && (!server_.valid() || cut_)) {
    return Error(ErrorCode::kUnreachable, "the session of '" + name_ + "' has gone");
  }
  switch (call) {
    case FakeCall::kProbe:
      if (!server_.valid() || cut_) disconnect();
      connect();
      hear();
      break;
    case FakeCall::kHold:
      locked_ = ending != FakeEnding::kLie;
      break;
    case FakeCall::kRelease:
      if (ending != FakeEnding::kLie) locked_ = false;
      break;
    case FakeCall::kPrepare:
    case FakeCall::kCheck:
    case FakeCall::kExtend:
    case FakeCall::kRollback:
      break;
  }
  if (ending == FakeEnding::kLose) {
    server_.reset();
    locked_ = false;
  }
  return {};
}

// -- the hold ----------------------------------------------------------------------------------

class FakeHold final : public api::Hold {
 public:
  explicit FakeHold(std::shared_ptr<FakeServer> server) : server_(std::move(server)) {
    const std::lock_guard lock(server_->mutex_);
    position_ = {{"lsn", std::to_string(server_->position_)}};
    identity_ = {"Fake", "1.0", "uuid-of-" + server_->name_, std::to_string(server_->sessions_)};
  }
  ~FakeHold() override {
    const std::lock_guard lock(server_->mutex_);
    if (!std::exchange(released_, true)) server_->disconnect();
  }

  [[nodiscard]] const api::Identity& identity() const override { return identity_; }
  [[nodiscard]] const api::Position& position() const override { return position_; }
  [[nodiscard]] api::Position details() const override { return {{"lock", "fake"}}; }
  [[nodiscard]] std::vector<std::string> warnings() const override {
    return {"nothing is behind this lock"};
  }
  [[nodiscard]] int watch_fd() const override {
    const std::lock_guard lock(server_->mutex_);
    return server_->client_.get();
  }

  [[nodiscard]] Result<api::Position> check(Deadline deadline) override {
    if (auto done = server_->perform(FakeCall::kCheck, deadline, {}); !done) {
      return std::move(done).error();
    }
    const std::lock_guard lock(server_->mutex_);
    const auto lies = server_->script_.find(FakeCall::kCheck);
    if (lies != server_->script_.end() && lies->second == FakeEnding::kLie) return position_;
    if (released_ || !server_->server_.valid() || server_->cut_) {
      return Error(ErrorCode::kHoldLost, "the session of '" + server_->name_ + "' has gone");
    }
    api::Position position{{"lsn", std::to_string(server_->position_)}};
    if (position != position_) {
      return Error(ErrorCode::kHoldLost, "'" + server_->name_ + "' moved from lsn " +
                                             position_.front().second + " to lsn " +
                                             position.front().second);
    }
    return position;
  }

  [[nodiscard]] Result<void> extend(const api::Window& window, Deadline deadline) override {
    server_->log_.add(server_->name_ + " extend for " + std::to_string(window.max_hold.count()));
    return server_->perform(FakeCall::kExtend, deadline, {});
  }

  [[nodiscard]] Result<void> release(Deadline deadline) override {
    if (released_) return {};
    auto done = server_->perform(FakeCall::kRelease, deadline, {});
    const std::lock_guard lock(server_->mutex_);
    released_ = true;
    report_ = server_->report_at_release_;
    // As the contract wants it: on failure the session is closed, and the lock with it.
    if (!done) server_->disconnect();
    return done;
  }

  [[nodiscard]] Result<void> abandon(Deadline deadline) override {
    server_->log_.add(server_->name_ + " abandon");
    return release(deadline);
  }

  [[nodiscard]] api::ReleaseReport release_report() const override { return report_; }

 private:
  std::shared_ptr<FakeServer> server_;
  api::Identity identity_;
  api::Position position_;
  api::ReleaseReport report_;
  bool released_ = false;
};

// -- the plugin --------------------------------------------------------------------------------

FakePlugin::FakePlugin(const std::string& resource, std::shared_ptr<FakeServer> server,
                       base::ProcessRunner& processes)
    : Plugin({resource, processes, "/nonexistent"}), server_(std::move(server)) {}

FakePlugin::~FakePlugin() {
  const std::lock_guard lock(server_->mutex_);
  server_->disconnect();
}

Result<api::ProbeReport> FakePlugin::probe(Deadline deadline, std::stop_token stop) {
  auto done = server_->perform(FakeCall::kProbe, deadline, stop);
  const std::lock_guard lock(server_->mutex_);
  if (!done) {
    server_->disconnect();
    return std::move(done).error();
  }
  return api::ProbeReport{
      {"Fake", "1.0", "uuid-of-" + server_->name_, std::to_string(server_->sessions_)}, {}};
}

int FakePlugin::watch_fd() const {
  const std::lock_guard lock(server_->mutex_);
  return server_->client_.get();
}

Result<void> FakePlugin::prepare(const api::Window&, Deadline deadline, std::stop_token stop) {
  return server_->perform(FakeCall::kPrepare, deadline, stop);
}

Result<std::unique_ptr<api::Hold>> FakePlugin::hold(const api::Window&, Deadline deadline,
                                                    std::stop_token stop) {
  if (auto done = server_->perform(FakeCall::kHold, deadline, stop); !done) {
    return std::move(done).error();
  }
  {
    const std::lock_guard lock(server_->mutex_);
    if (server_->script_[FakeCall::kHold] == FakeEnding::kNothing) {
      server_->locked_ = false;
      return std::unique_ptr<api::Hold>();
    }
  }
  return std::unique_ptr<api::Hold>(std::make_unique<FakeHold>(server_));
}

bool FakePlugin::stalls_writers() const {
  const std::lock_guard lock(server_->mutex_);
  return server_->stalls_;
}

void FakePlugin::rollback(Deadline deadline) {
  (void)server_->perform(FakeCall::kRollback, deadline, {});
}

void FakePlugin::interrupt() {
  server_->interrupt();
}

}  // namespace holdfast::support
