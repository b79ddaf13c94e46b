// SPDX-License-Identifier: MIT
//
// The guest agent's side of its channel (wire/line_channel.h, qga/agent.h, qga/fsfreeze.h,
// qga/base64.h, qga/fstrim.h): the input is all that the guest will ever say. The random number of
// a synchronisation is 1, then 2, and so on, so that an input can answer it.
#include <sys/random.h>

#include "base/text.h"
#include "fuzz.h"
#include "qga/agent.h"
#include "qga/base64.h"
#include "qga/fsfreeze.h"
#include "qga/fstrim.h"
#include "wired.h"

namespace {

std::uint64_t next_number = 1;  // of the call below; begins anew with each input

}  // namespace

// libc's, and so the one that the agent calls. It drops the lowest bit of what it gets.
extern "C" ssize_t getrandom(void* buffer, size_t length, unsigned) {
  const std::uint64_t bits = next_number++ << 1U;
  const auto* const bytes = reinterpret_cast<const unsigned char*>(&bits);
  auto* const target = static_cast<unsigned char*>(buffer);
  for (size_t i = 0; i < length; ++i)
    target[i] = i < sizeof bits ? bytes[i] : 0;
  return static_cast<ssize_t>(length);
}

namespace holdfast::fuzz {

namespace {

namespace qga = host::qga;

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Millis;

constexpr std::size_t kFileLimit = 1000;

// Never reached: the stream ends before.
Deadline deadline() {
  return Deadline::in(Millis(10000));
}

bool is_of_a_guest(ErrorCode code) {
  return code == ErrorCode::kUnreachable || code == ErrorCode::kProtocol ||
         code == ErrorCode::kTooLarge || code == ErrorCode::kGuest ||
         code == ErrorCode::kUnsupported || code == ErrorCode::kNotFound;
}

void check_error(const Error& error) {
  require_told(error);
  require(is_of_a_guest(error.code()), "the error is one that the header names");
  if (const auto status = qga::hook_status(error); status) {
    require(*status >= 0 && *status <= 255, "a hook's status is one");
    require(is_one_safe_line(qga::hook_status_meaning(*status)), "its meaning is ours");
  }
}

template <typename T>
bool good(const base::Result<T>& result) {
  if (!result) check_error(result.error());
  return result.has_value();
}

void check_count(const base::Result<std::int64_t>& count) {
  if (good(count)) require(*count >= 0 && *count <= 1'000'000, "a count is one");
}

void check_file(qga::Agent& agent) {
  const auto content = agent.read_file("/run/record", kFileLimit, deadline());
  if (good(content)) require(content->size() <= kFileLimit, "a file keeps to its limit");
}

// The order of a run: what stands in front of the freeze, the freeze, and what follows.
void talk(qga::Agent& agent) {
  (void)good(agent.sync(deadline()));
  (void)good(qga::freeze_state(agent, deadline()));
  const auto version = agent.version(deadline());
  if (good(version)) {
    require(is_one_safe_line(*version) && version->size() <= 43, "a version is one short line");
  }
  check_file(agent);
  check_count(qga::freeze(agent, deadline(), {}));
  (void)good(qga::freeze_state(agent, deadline()));
  check_count(qga::thaw(agent, deadline()));
  check_file(agent);
}

void check_requests(const std::vector<Json>& requests) {
  std::size_t freezes = 0;
  for (const Json& request : requests) {
    const auto name = request.at("execute").get<std::string>();
    require(name.starts_with("guest-"), "it is a command");
    if (name == "guest-fsfreeze-freeze") ++freezes;
    if (name == "guest-file-open") {
      require(request.at("arguments").at("path") == "/run/record", "no other file is opened");
      require(request.at("arguments").at("mode") == "r", "nothing is written in a guest");
    }
  }
  require(freezes <= 1, "a freeze is never sent twice");
}

void check_base64(std::string_view text) {
  const auto bytes = qga::decode_base64(text);
  if (!bytes) {
    require(bytes.error().code() == ErrorCode::kProtocol, "it is not Base64");
    require_told(bytes.error());
    return;
  }
  require(text.size() % 4 == 0, "Base64 comes in fours");
  const auto padding = static_cast<std::size_t>(text.ends_with("==")  ? 2
                                                : text.ends_with('=') ? 1
                                                                      : 0);
  require(bytes->size() == text.size() / 4 * 3 - padding, "three bytes for every four");
}

void check_trim(std::string_view text) {
  const auto answer = base::parse_json(text);
  if (!answer) return;
  const auto report = qga::parse_trim(*answer);
  if (!report) {
    require(report.error().code() == ErrorCode::kProtocol, "it is no report");
    require_told(report.error());
    return;
  }
  require(report->paths.size() <= qga::kMostTrimmedPaths, "a report is short");
  std::uint64_t sum = 0;
  for (const qga::TrimmedPath& trimmed : report->paths) {
    require(is_one_safe_line(trimmed.path) && is_one_safe_line(trimmed.error), "it can be shown");
    require(trimmed.bytes.has_value() == trimmed.error.empty(), "either bytes or an error");
    const std::uint64_t bytes = trimmed.bytes.value_or(0);
    require(sum + bytes >= sum, "the sum does not overflow");
    sum += bytes;
  }
  require(sum == report->bytes, "the sum is one");
}

}  // namespace

void check(std::string_view input) {
  static Speaker speaker;
  next_number = 1;
  check_base64(input.substr(0, input.find('\n')));
  check_trim(input.substr(0, input.find('\n')));
  speaker.say(input);
  auto agent = qga::Agent::connect(speaker.path(), deadline());
  require(agent.has_value(), "an agent");
  talk(*agent);
  check_requests(speaker.requests());
}

}  // namespace holdfast::fuzz
