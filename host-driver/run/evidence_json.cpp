// SPDX-License-Identifier: MIT
#include "run/evidence_json.h"

#include "base/duration.h"
#include "qga/fsfreeze.h"

namespace holdfast::host::run {

using base::Json;

namespace {

Json count_or_null(const std::optional<std::int64_t>& count) {
  return count ? Json(*count) : Json();
}

Json text_or_null(const std::optional<base::Error>& error) {
  return error ? Json(error->text()) : Json();
}

}  // namespace

double milliseconds(Span span) {
  return static_cast<double>(std::chrono::duration_cast<std::chrono::microseconds>(span).count()) /
         1000.0;
}

Json evidence_json(const Evidence& evidence, const Verdict& verdict) {
  const WindowOutcome& window = evidence.window;
  Json json{{"reasons", verdict.reasons},
            {"notes", verdict.notes},
            {"freeze_count", count_or_null(window.freeze_count)},
            {"freeze_error", text_or_null(window.freeze_error)},
            {"frozen_after_snapshot", window.frozen_after},
            {"thaw_count", count_or_null(window.thaw_count)},
            {"thaw_error", text_or_null(window.thaw_error)},
            {"hook_status", window.hook_status ? Json(*window.hook_status) : Json()},
            {"hook_meaning",
             window.hook_status ? Json(qga::hook_status_meaning(*window.hook_status)) : Json()},
            {"agent_version", evidence.agent_version}};
  json["guest_record_problem"] = evidence.record ? Json() : Json(evidence.record_problem);
  json["guest_record"] = evidence.record ? evidence.record->document : Json();
  return json;
}

Json window_json(const WindowOutcome& window) {
  return {{"begin", base::format_time(window.begin)},
          {"freeze_call_ms", milliseconds(window.freeze_call)},
          {"transaction_ms", milliseconds(window.transaction)},
          {"thaw_call_ms", milliseconds(window.thaw_call)},
          {"frozen_ms", milliseconds(window.frozen)},
          {"total_ms", milliseconds(window.total)}};
}

}  // namespace holdfast::host::run
