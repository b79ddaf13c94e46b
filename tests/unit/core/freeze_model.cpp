// SPDX-License-Identifier: MIT
#include "freeze_model.h"

#include <optional>

namespace holdfast::core {

namespace {

using support::FakeCall;
using support::FakeEnding;
using Part = FreezeModel::Part;

FakeEnding ending_of(const Part& part, FakeCall call) {
  const auto found = part.script.find(call);
  return found == part.script.end() ? FakeEnding::kSucceed : found->second;
}

// The code under which the failure of a call refuses a freeze; nothing if it succeeds.
std::optional<std::string> refusal(const Part& part, FakeCall call) {
  switch (ending_of(part, call)) {
    case FakeEnding::kSucceed:
    case FakeEnding::kLose:
    case FakeEnding::kLie:
      return std::nullopt;
    case FakeEnding::kMisconfigure:
      return "misconfigured";
    default:
      return "hold-failed";
  }
}

}  // namespace

FreezeModel::Codes FreezeModel::locked() const {
  Codes names;
  for (const Part& part : parts) {
    if (part.held && !part.lost) names.insert(part.name);
  }
  return names;
}

FreezeModel::Codes FreezeModel::freeze(bool given_up) {
  return open_ ? next_freeze() : first_freeze(given_up);
}

FreezeModel::Codes FreezeModel::first_freeze(bool given_up) {
  for (Part& part : parts)
    part.held = part.lost = part.moved = false;
  if (failing.contains("arm")) return {"hold-failed"};
  std::optional<std::string> refused;
  std::set<std::string> dropped;
  for (Part& part : parts) {
    auto code = part.needs_probe ? refusal(part, FakeCall::kProbe) : std::nullopt;
    if (!code) code = refusal(part, FakeCall::kPrepare);
    if (code && !part.required) dropped.insert(part.name);
    if (code && part.required && !refused) refused = code;
    part.needs_probe = true;
  }
  if (refused) return {*refused};
  if (given_up || failing.contains("sync")) return {"hold-failed"};

  // Within an order, who stalls nobody comes first.
  std::map<std::pair<std::int64_t, bool>, std::vector<Part*>> waves;
  for (Part& part : parts) {
    if (!dropped.contains(part.name)) waves[{part.order, part.stalls}].push_back(&part);
  }
  bool seen_lost = false;
  Codes refusals;
  for (auto& [order, wave] : waves) {
    for (Part* part : wave) {
      Codes codes;
      if (const auto code = refusal(*part, FakeCall::kHold)) codes.insert(*code);
      // What lost its session in prepare() has none to hold with; whether that is found out before
      // hold() has a say of its own is a matter of luck.
      if (ending_of(*part, FakeCall::kPrepare) == FakeEnding::kLose) codes.insert("hold-failed");
      if (part->required && refusals.empty()) refusals = codes;
      if (!codes.empty()) continue;
      part->held = true;
      part->lost = ending_of(*part, FakeCall::kHold) == FakeEnding::kLose;
      seen_lost = seen_lost || part->lost;
    }
    if (!refusals.empty()) return refusals;
  }
  if (record_fails) return {"hold-failed"};
  // A loss while the others are still being held may be seen in time.
  if (seen_lost) return {"ok", "hold-failed"};
  return {"ok"};
}

bool FreezeModel::proves_hold(const Part& part) const {
  return !part.lost && !part.moved && ending_of(part, FakeCall::kCheck) == FakeEnding::kSucceed;
}

FreezeModel::Codes FreezeModel::next_freeze() const {
  if (failing.contains("extend") || record_fails) return {"hold-failed"};
  for (const Part& part : parts) {
    if (!part.held) continue;
    if (!proves_hold(part) || refusal(part, FakeCall::kExtend)) return {"hold-failed"};
  }
  return {"ok"};
}

void FreezeModel::freeze_answered(const std::string& code) {
  if (code == "ok") {
    open_ = true;
    owed_.clear();
    return;
  }
  // The first freeze had been promised a window, which has ended here.
  if (open_) owed_ = "hold-lost";
  close();
}

void FreezeModel::close() {
  for (Part& part : parts) {
    part.held = part.lost = part.moved = false;
    if (open_) part.needs_probe = true;
  }
  open_ = false;
}

std::string FreezeModel::thaw() {
  if (!open_) {
    const std::string code = owed_.empty() ? "ok" : owed_;
    owed_.clear();
    return code;
  }
  std::string code = "ok";
  for (const Part& part : parts) {
    if (!part.held) continue;
    const FakeEnding ending = ending_of(part, FakeCall::kRelease);
    const bool released = ending == FakeEnding::kSucceed || ending == FakeEnding::kLose;
    if (!released && code == "ok") code = "release-failed";
    if (!proves_hold(part)) code = "hold-lost";
  }
  close();
  return code;
}

void FreezeModel::thaw_seen() {
  if (!open_) return;
  const std::string code = thaw();
  if (code != "ok") owed_ = code;
}

std::string FreezeModel::check() {
  if (open_) return "busy";
  std::string code = "ok";
  for (Part& part : parts) {
    const auto refused = refusal(part, FakeCall::kProbe);
    part.needs_probe = refused.has_value();
    if (!refused || !part.required || code != "ok") continue;
    switch (ending_of(part, FakeCall::kProbe)) {
      case FakeEnding::kFail:
        code = "refused";
        break;
      case FakeEnding::kMisconfigure:
        code = "misconfigured";
        break;
      default:
        code = "internal";
    }
  }
  return code;
}

void FreezeModel::end(const std::string& owed) {
  if (!open_) return;
  close();
  owed_ = owed;
}

void FreezeModel::expire() {
  end("window-expired");
}

void FreezeModel::abandon() {
  end("hold-lost");
}

void FreezeModel::stop() {
  end("daemon-restarted");
}

void FreezeModel::crash() {
  end("daemon-restarted");
  if (!owed_.empty()) owed_ = "daemon-restarted";
  for (Part& part : parts)
    part.needs_probe = refusal(part, FakeCall::kProbe).has_value();
}

}  // namespace holdfast::core
