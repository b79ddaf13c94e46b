// SPDX-License-Identifier: MIT
#include "run/level.h"

#include "qga/fsfreeze.h"

namespace holdfast::host::run {

using repository::Level;

namespace {

constexpr int kStatusExpired = 31;
constexpr std::string_view kCodeExpired = "window-expired";

// What the failing thaw hook says in words.
std::string hook_reason(const WindowOutcome& window) {
  if (!window.hook_status) return "the thaw reported an error: " + window.thaw_error->text();
  const std::string meaning = qga::hook_status_meaning(*window.hook_status);
  return "the guest's thaw hook ended with status " + std::to_string(*window.hook_status) +
         (meaning.empty() ? "" : ": " + meaning);
}

// agents from 9.1 on give what the hook printed and not its status.
bool is_hook_failure(const WindowOutcome& window) {
  return window.hook_status.has_value() ||
         window.thaw_error->text().find("execute hook") != std::string::npos;
}

// After its dead-man time the guest thaws its filesystems behind the agent's back, which goes on
// saying 'frozen': then they may have been thawed at the instant.
bool has_expired(const Evidence& evidence) {
  if (evidence.window.hook_status == kStatusExpired) return true;
  return evidence.record && evidence.record->code == kCodeExpired &&
         is_of_this_window(evidence.before, *evidence.record);
}

// What the guest itself says about a freeze that it refused; the agent only passes a number on.
std::string guest_words(const Evidence& evidence) {
  if (!evidence.record || !is_of_this_window(evidence.before, *evidence.record)) return {};
  const GuestRecord& record = *evidence.record;
  if (record.code.empty() || record.code == "ok") return {};
  return "; the guest says '" + record.code + "'" + (record.text.empty() ? "" : ": " + record.text);
}

// Was it frozen through the instant? The reason if not.
std::string why_not_frozen(const Evidence& evidence) {
  const WindowOutcome& window = evidence.window;
  if (!window.attempted) return "no freeze was tried: " + evidence.not_tried;
  if (window.freeze_error) {
    std::string reason = "the freeze failed: " + window.freeze_error->text();
    if (const auto status = qga::hook_status(*window.freeze_error); status) {
      const std::string meaning = qga::hook_status_meaning(*status);
      if (!meaning.empty()) reason += ": " + meaning;
    }
    return reason + guest_words(evidence);
  }
  if (window.freeze_count.value_or(0) == 0) return "the guest froze no filesystem";
  if (!window.frozen_after) return "the guest was not frozen any more after the snapshot";
  if (has_expired(evidence)) {
    return "the window had expired: the guest thawed by itself, perhaps before the snapshot";
  }
  if (window.thaw_error) {
    return is_hook_failure(window) ? "" : "the thaw failed: " + window.thaw_error->text();
  }
  if (window.thaw_count != window.freeze_count) {
    return "the guest froze " + std::to_string(window.freeze_count.value_or(0)) +
           " filesystems and thawed " + std::to_string(window.thaw_count.value_or(0)) +
           ": something else had thawed them";
  }
  return {};
}

}  // namespace

Verdict decide_level(const Evidence& evidence) {
  Verdict verdict;
  if (std::string reason = why_not_frozen(evidence); !reason.empty()) {
    verdict.reasons.push_back(std::move(reason));
    return verdict;
  }
  verdict.level = Level::kFilesystem;
  if (evidence.window.thaw_error) verdict.reasons.push_back(hook_reason(evidence.window));
  if (!evidence.record) {
    verdict.reasons.push_back("the guest's record could not be read: " + evidence.record_problem);
    return verdict;
  }
  Proof proof = judge(evidence.before, *evidence.record);
  verdict.notes = std::move(proof.notes);
  if (!proof.lacking.empty()) verdict.reasons.push_back(std::move(proof.lacking));
  if (verdict.reasons.empty()) verdict.level = Level::kApplication;
  return verdict;
}

base::Error below_required(const Verdict& verdict, const std::string& required) {
  std::string reasons;
  for (const std::string& reason : verdict.reasons)
    reasons += (reasons.empty() ? "" : "; ") + reason;
  return {base::ErrorCode::kBelowRequired, "the level would be '" +
                                               std::string(name_of(verdict.level)) + "', '" +
                                               required + "' is required: " + reasons};
}

}  // namespace holdfast::host::run
