// SPDX-License-Identifier: MIT
#include "run/await_record.h"

#include "base/look_until.h"

namespace holdfast::host::run {

namespace {

constexpr base::Millis kRecordCompletes{3000};
constexpr base::Millis kLookAgain{100};

// Is there no more to come?
bool take_record(Evidence& evidence, const base::Result<std::string>& text) {
  if (!text) {
    evidence.record_problem = text.error().text();
    return true;
  }
  auto record = parse_guest_record(*text);
  if (!record) {
    evidence.record_problem = record.error().text();
    return true;
  }
  const bool unfinished = record->state != "done" && is_of_this_window(evidence.before, *record);
  evidence.record = std::move(*record);
  return !unfinished;
}

}  // namespace

void await_record(Evidence& evidence, const std::stop_token& stop,
                  const std::function<base::Result<std::string>()>& read) {
  (void)base::look_until(base::Deadline::in(kRecordCompletes), kLookAgain,
                         [&] { return take_record(evidence, read()) || stop.stop_requested(); });
}

}  // namespace holdfast::host::run
