// SPDX-License-Identifier: MIT
#include "boot/guest.h"

#include <algorithm>
#include <optional>

#include "base/look_until.h"
#include "base/text.h"
#include "qga/exec.h"

namespace holdfast::host::boot {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;
using namespace std::chrono_literals;

namespace {

constexpr const char* kHoldfastctl = "/usr/sbin/holdfastctl";
constexpr base::Millis kLook = 50ms;
// Of each attempt: a guest may lose what came while its agent was not there yet.
constexpr base::Millis kAttempt = 3s;
// What the agent and the answer's way take of the time that is left.
constexpr base::Millis kReserve = 10s;
constexpr base::Millis kLongestWait = 5min;
constexpr base::JsonLimits kLimits{std::size_t{1} << 20U, 16};
constexpr int kUsage = 64;

std::string seconds(base::Millis span) {
  return std::to_string(std::chrono::ceil<std::chrono::seconds>(span).count()) + "s";
}

std::vector<std::string> prove_command(Deadline deadline) {
  const base::Millis left = std::max<base::Millis>(1s, deadline.remaining() - kReserve);
  return {kHoldfastctl, "--json", "--timeout=" + seconds(left),
          "--wait=" + seconds(std::min(kLongestWait, left / 2)), "prove"};
}

std::string first_line(const std::string& text) {
  const std::string_view said = base::trimmed(text);
  return base::printable(base::trimmed(said.substr(0, said.find('\n'))));
}

}  // namespace

Result<qga::Agent> reach_channel(const std::string& socket, const Machine& machine,
                                 Deadline deadline, const std::stop_token& stop) {
  std::optional<Result<qga::Agent>> agent;
  const bool reached = base::look_until(deadline, kLook, [&] {
    agent = qga::Agent::connect(socket, Deadline::in(kAttempt).earlier_of(deadline));
    return *agent || machine.ended() || stop.stop_requested();
  });
  if (*agent) return std::move(*agent);
  if (stop.stop_requested()) return Error(ErrorCode::kCancelled, "cancelled");
  if (reached) return Error(ErrorCode::kProcessFailed, "the machine did not start");
  return std::move(*agent).error();
}

Result<void> await_agent(qga::Agent& agent, Deadline deadline, const std::stop_token& stop) {
  for (;;) {
    auto answered = agent.sync(Deadline::in(kAttempt).earlier_of(deadline), stop);
    if (answered) return answered;
    if (answered.error().code() != ErrorCode::kTimedOut) return answered;
    if (deadline.passed()) return Error(ErrorCode::kTimedOut, "the guest agent does not answer");
  }
}

Result<GuestAnswer> ask_holdfast(qga::Agent& agent, Deadline deadline,
                                 const std::stop_token& stop) {
  auto ran = qga::run_in_guest(agent, prove_command(deadline), deadline, stop);
  if (!ran) {
    const ErrorCode code = ran.error().code();
    if (code == ErrorCode::kNotFound)
      return GuestAnswer{nullptr, "the guest has no Holdfast", true};
    if (code == ErrorCode::kUnsupported) {
      return GuestAnswer{nullptr, "the guest agent may not run programs (guest-exec)", false};
    }
    return std::move(ran).error();
  }
  if (ran->status == kUsage) {
    return GuestAnswer{nullptr, "the guest's Holdfast is too old for 'prove'", false};
  }
  if (ran->truncated) return Error(ErrorCode::kTooLarge, "the guest's answer is too large");
  auto proof = base::parse_json(ran->output, kLimits);
  if (proof && proof->is_object()) return GuestAnswer{std::move(*proof), {}, false};
  const std::string said = first_line(ran->error_output);
  return Error(ErrorCode::kProtocol, "'holdfastctl prove' in the guest gives no answer" +
                                         (said.empty() ? std::string() : ": " + said));
}

}  // namespace holdfast::host::boot
