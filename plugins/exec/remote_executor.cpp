// SPDX-License-Identifier: MIT
#include "exec/remote_executor.h"

#include <sys/socket.h>

#include <stop_token>
#include <utility>

#include "base/text.h"
#include "base/unix_socket.h"

namespace holdfast::exec {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Millis;
using base::Result;

namespace {

// holdfast-execd ends its programs at our deadline and says so; its answer is given this long.
constexpr Millis kAnswerMargin{50};

}  // namespace

RemoteExecutor::RemoteExecutor(std::string socket_path, std::string resource)
    : socket_path_(std::move(socket_path)), resource_(std::move(resource)) {}

Result<void> RemoteExecutor::connect(const Call& call) {
  if (connection_) return {};
  auto connected = base::connect_unix(socket_path_, call.deadline);
  if (!connected) {
    return Error(ErrorCode::kUnreachable, "unable to reach holdfast-execd")
        .with_hint("systemctl status holdfast-exec")
        .caused_by(std::move(connected).error());
  }
  const std::lock_guard lock(mutex_);
  connection_ = std::make_unique<base::UniqueFd>(std::move(*connected));
  buffer_.clear();
  return {};
}

void RemoteExecutor::disconnect() {
  const std::lock_guard lock(mutex_);
  connection_.reset();
  session_ = false;
}

void RemoteExecutor::interrupt() {
  const std::lock_guard lock(mutex_);
  if (connection_) (void)::shutdown(connection_->get(), SHUT_RDWR);
}

Result<std::string> RemoteExecutor::ask(ExecVerb verb, const Call& call) {
  if (auto connected = connect(call); !connected) return std::move(connected).error();
  const std::stop_callback on_stop(call.stop, [this] { interrupt(); });
  const ExecRequest request{verb, resource_, call.window, call.deadline.remaining()};
  const Deadline answer_by(call.deadline.at() + kAnswerMargin);
  auto sent = base::send_all(connection_->get(), format_exec_request(request), call.deadline);
  Result<std::string> line =
      sent ? base::receive_line(connection_->get(), buffer_, kExecReplyLimit, answer_by)
           : Result<std::string>(std::move(sent).error());
  if (!line) {
    disconnect();
    const std::string what = "unable to run '" + base::printable(resource_) + " " +
                             std::string(name_of(verb)) + "' by holdfast-execd";
    if (call.stop.stop_requested()) return Error(ErrorCode::kCancelled, what + ": cancelled");
    const ErrorCode code = line.error().code();
    return Error(code, what).caused_by(std::move(line).error());
  }
  auto reply = parse_exec_reply(*line);
  if (!reply && reply.error().code() == ErrorCode::kProtocol) disconnect();
  return reply;
}

Result<std::string> RemoteExecutor::probe(const Call& call) {
  // A holdfast-execd that died knows of no programs that it left frozen; they are still to be told.
  if (owed_) {
    auto thawed = thaw(Call{.window = window_, .deadline = call.deadline, .stop = call.stop});
    if (!thawed && owed_) return std::move(thawed).error();
  }
  // The other side may have been restarted since the last call: one more try, with a new
  // connection.
  const bool was_connected = connection_ != nullptr;
  auto answer = ask(ExecVerb::kProbe, call);
  if (!answer && was_connected && !connection_ && !call.stop.stop_requested() &&
      !call.deadline.passed()) {
    answer = ask(ExecVerb::kProbe, call);
  }
  // "On failure no session stays open."
  if (!answer) disconnect();
  return answer;
}

Result<void> RemoteExecutor::prepare(const Call& call) {
  if (auto connected = connect(call); !connected) return connected;
  window_ = call.window;
  owed_ = session_ = true;
  auto answer = ask(ExecVerb::kPrepare, call);
  if (!answer) return std::move(answer).error();
  has_programs_ = *answer != kNothingToRun;
  return {};
}

Result<void> RemoteExecutor::freeze(const Call& call) {
  // What was prepared over a connection that has ended since has been undone.
  if (owed_ && !session_) {
    return Error(ErrorCode::kUnreachable, "the connection to holdfast-execd ended after `prepare`");
  }
  if (auto connected = connect(call); !connected) return connected;
  window_ = call.window;
  owed_ = session_ = true;
  auto answer = ask(ExecVerb::kFreeze, call);
  if (!answer) return std::move(answer).error();
  return {};
}

Result<void> RemoteExecutor::check(const Call& call) {
  if (!connection_ || !session_) {
    return Error(ErrorCode::kHoldLost,
                 "the connection to holdfast-execd has ended, and with it the hold");
  }
  auto answer = ask(ExecVerb::kCheck, call);
  if (answer) return {};
  if (answer.error().code() == ErrorCode::kHoldLost) return std::move(answer).error();
  return Error(ErrorCode::kHoldLost,
               "unable to confirm that '" + base::printable(resource_) + "' held still")
      .caused_by(std::move(answer).error());
}

Result<void> RemoteExecutor::thaw(const Call& call) {
  if (!owed_) return {};
  // Without the session, the other side has thawed what it knew of, or has died and knows of
  // nothing: it is asked once more, on a new connection. `thaw` may be told twice.
  auto answer = ask(ExecVerb::kThaw, call);
  if (!answer && !connection_ && !call.deadline.passed()) answer = ask(ExecVerb::kThaw, call);
  session_ = false;
  // Nobody was there to be asked: the next probe does that.
  owed_ = !answer && !connection_;
  if (!answer) return std::move(answer).error();
  return {};
}

void RemoteExecutor::rollback(Deadline deadline) {
  if (!owed_) return;
  // The end of the connection has made the other side undo it, unless that has died: the next probe
  // makes sure.
  if (!connection_) return;
  if (!thaw(Call{.window = window_, .deadline = deadline, .stop = {}})) disconnect();
}

}  // namespace holdfast::exec
