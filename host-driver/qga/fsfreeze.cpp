// SPDX-License-Identifier: MIT
#include "qga/fsfreeze.h"

#include <charconv>

#include "base/look_until.h"
#include "base/text.h"

namespace holdfast::host::qga {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Millis;
using base::Result;

namespace {

constexpr std::string_view kHookFailed = "fsfreeze hook has failed with status ";
// How long one attempt to thaw waits before it synchronises anew. An agent that is busy with its
// hook answers nothing; asking again costs nothing, since what was sent before stays in order.
constexpr Millis kAttempt{5000};
constexpr Millis kPauseBetweenConnections{100};
// A socket that nobody has served for this long has lost its QEMU, and the guest with it.
constexpr Millis kGone{10000};

Result<std::int64_t> count_of(const Result<Json>& answer, std::string_view command) {
  if (!answer) return answer.error();
  if (!answer->is_number_integer() || *answer < 0 || *answer > 1'000'000) {
    return Error(ErrorCode::kProtocol, std::string(command) + ": the answer is no count");
  }
  return answer->get<std::int64_t>();
}

// One attempt over a connection that stands.
Result<void> thaw_once(Agent& agent, Deadline deadline) {
  if (auto done = agent.sync(deadline); !done) return done;
  // The count, or a hook's complaint, is not the question here: the state is.
  (void)thaw(agent, deadline);
  auto state = freeze_state(agent, deadline);
  if (!state) return std::move(state).error();
  if (*state == FreezeState::kFrozen) {
    return Error(ErrorCode::kGuest, "the guest says 'frozen' after a thaw");
  }
  return {};
}

}  // namespace

Result<FreezeState> freeze_state(Agent& agent, Deadline deadline, const std::stop_token& stop) {
  auto answer = agent.execute("guest-fsfreeze-status", Json::object(), deadline, stop);
  if (!answer) return std::move(answer).error();
  if (*answer == "thawed") return FreezeState::kThawed;
  if (*answer == "frozen") return FreezeState::kFrozen;
  return Error(
      ErrorCode::kProtocol,
      "guest-fsfreeze-status: '" + base::printable(base::to_line(*answer), 60) + "' is no state");
}

Result<std::int64_t> freeze(Agent& agent, Deadline deadline, const std::stop_token& stop) {
  return count_of(agent.execute("guest-fsfreeze-freeze", Json::object(), deadline, stop),
                  "guest-fsfreeze-freeze");
}

Result<std::int64_t> thaw(Agent& agent, Deadline deadline) {
  return count_of(agent.execute("guest-fsfreeze-thaw", Json::object(), deadline),
                  "guest-fsfreeze-thaw");
}

std::optional<int> hook_status(const Error& error) {
  const std::string text = error.text();
  const std::size_t found = text.find(kHookFailed);
  if (found == std::string::npos) return std::nullopt;
  const char* const begin = text.data() + found + kHookFailed.size();
  int status = 0;
  const auto [rest, problem] = std::from_chars(begin, text.data() + text.size(), status);
  if (problem != std::errc{} || status < 0 || status > 255) return std::nullopt;
  return status;
}

std::string hook_status_meaning(int status) {
  switch (status) {
    case 20:
      return "the guest's holdfastd cannot be reached";
    case 21:
      return "a required resource could not be held";
    case 22:
      return "the guest's freeze-timeout passed";
    case 23:
      return "a resource is misconfigured or its plugin is missing";
    case 30:
      return "a hold was lost during the window";
    case 31:
      return "the window had expired: the guest released everything by itself";
    case 32:
      return "the holds were unbroken, but a release reported an error";
    case 33:
      return "the guest's holdfastd restarted or could not be reached during the window";
    case 64:
      return "the guest's hook was called wrongly";
    default:
      return {};
  }
}

Result<void> thaw_for_sure(std::optional<Agent>& agent, const wire::Endpoint& endpoint,
                           Deadline deadline) {
  Deadline gone = Deadline::in(kGone);
  Error problem(ErrorCode::kTimedOut, "no time left");
  bool thawed = false;
  // A refused connection gives nothing to wait for.
  (void)base::look_until(deadline, kPauseBetweenConnections, [&] {
    if (!agent) {
      auto connected = Agent::connect(endpoint, deadline.earlier_of(Deadline::in(kAttempt)));
      if (connected) {
        agent = std::move(*connected);
      } else {
        problem = std::move(connected).error();
      }
    }
    if (agent) {
      gone = Deadline::in(kAttempt + kGone);
      auto done = thaw_once(*agent, deadline.earlier_of(Deadline::in(kAttempt)));
      thawed = done.has_value();
      if (thawed) return true;
      problem = std::move(done).error();
      // An agent that merely takes its time keeps its connection: closing it gains nothing.
      if (problem.code() != ErrorCode::kTimedOut && problem.code() != ErrorCode::kGuest) {
        (void)agent->send_blindly("guest-fsfreeze-thaw", Deadline::in(kPauseBetweenConnections));
        agent.reset();
      }
    }
    return gone.passed();
  });
  if (thawed) return {};
  if (agent) {
    (void)agent->send_blindly("guest-fsfreeze-thaw", Deadline::in(kPauseBetweenConnections));
  }
  return Error(ErrorCode::kGuest, "unable to thaw the guest")
      .with_hint("in the guest: fsfreeze -u on each mount point; on the host: holdfast thaw")
      .caused_by(std::move(problem));
}

}  // namespace holdfast::host::qga
