// SPDX-License-Identifier: MIT
//
// The freeze record that a guest shows to the host (run/guest_record.h), and what becomes of it:
// the level of a backup (run/level.h). The input is the record after the thaw, then perhaps a line
// "%%" and the one before the freeze.
#include "run/guest_record.h"

#include "fuzz.h"
#include "run/level.h"

namespace holdfast::fuzz {

namespace {

namespace run = host::run;

using base::ErrorCode;
using base::Json;
using host::repository::Level;

constexpr std::string_view kSeparator = "\n%%\n";
// What a manifest may hold of it.
constexpr std::size_t kKeptLimit = std::size_t{128} << 10U;

void require_printable(const Json& value) {
  if (value.is_string()) {
    require(is_one_safe_line(value.get_ref<const std::string&>()), "a text is one safe line");
  }
  if (!value.is_structured()) return;
  for (const auto& [key, item] : value.items()) {
    require(is_one_safe_line(key), "a key is one safe line");
    require_printable(item);
  }
}

void require_lines(const std::vector<std::string>& lines) {
  for (const std::string& line : lines)
    require(is_one_safe_line(line), "what is said is one safe line");
}

void check_document(const run::GuestRecord& record) {
  const std::string line = base::to_line(record.document);
  require(line.size() <= kKeptLimit, "a record keeps to its limit");
  require_printable(record.document);
  // A record that has been cleaned once is as clean as it gets.
  const auto again = run::parse_guest_record(line);
  require(again && again->sequence == record.sequence && again->boot == record.boot &&
              again->resources.size() == record.resources.size(),
          "what is kept says the same");
}

// A window in which everything else went well: all hangs on the record.
run::Evidence evidence_with(const run::EarlierRecord& before, const run::GuestRecord& after) {
  run::Evidence evidence;
  evidence.window.attempted = true;
  evidence.window.tried = true;
  evidence.window.freeze_count = 3;
  evidence.window.frozen_after = true;
  evidence.window.thaw_count = 3;
  evidence.before = before;
  evidence.record = after;
  return evidence;
}

void check_level(const run::EarlierRecord& before, const run::GuestRecord& after) {
  run::Evidence evidence = evidence_with(before, after);
  const run::Verdict verdict = run::decide_level(evidence);
  require_lines(verdict.reasons);
  require_lines(verdict.notes);
  require((verdict.level == Level::kApplication) == verdict.reasons.empty(),
          "a lower level has its reason");
  if (verdict.level == Level::kApplication) {
    require(before.known && run::is_of_this_window(before, after), "it is of this very window");
    require(after.kind == "freeze" && after.state == "done" && after.code == "ok" &&
                after.status == 0 && !after.resources.empty(),
            "it says that all went well");
    for (const run::GuestResource& resource : after.resources)
      require(!resource.required || resource.code == "ok", "every required resource was held");
  }
  evidence.window.freeze_error = base::Error(ErrorCode::kGuest, "refused");
  const run::Verdict refused = run::decide_level(evidence);
  require(refused.level == Level::kCrash, "no record mends a freeze that failed");
  require_lines(refused.reasons);
}

}  // namespace

void check(std::string_view input) {
  const std::size_t split = std::min(input.find(kSeparator), input.size());
  const std::string_view after = input.substr(0, split);
  const std::string before(input.substr(std::min(split + kSeparator.size(), input.size())));
  const run::EarlierRecord earlier = run::earlier_record(before);
  require(earlier.known || is_one_safe_line(earlier.problem), "a problem is one safe line");
  const auto record = run::parse_guest_record(after);
  if (!record) {
    const ErrorCode code = record.error().code();
    require(code == ErrorCode::kProtocol || code == ErrorCode::kTooLarge ||
                code == ErrorCode::kUnsupported,
            "it says which");
    require(is_one_safe_line(record.error().one_line()), "the error is one safe line");
    return;
  }
  check_document(*record);
  check_level(earlier, *record);
  // The host has never looked before: then nothing proves that the record is new.
  require(run::decide_level(evidence_with({false, {}, 0, "unread"}, *record)).level !=
              Level::kApplication,
          "an unknown earlier record proves nothing");
}

}  // namespace holdfast::fuzz
