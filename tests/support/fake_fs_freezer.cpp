// SPDX-License-Identifier: MIT
#include "support/fake_fs_freezer.h"

namespace holdfast::support {

using base::Result;

Result<void> FakeFsFreezer::called(const std::string& call, bool needs_set) {
  log_.add("fs " + call);
  if (failing_.contains(call)) {
    return base::Error(base::ErrorCode::kIo, "unable to " + call + " '/fake': Input/output error");
  }
  if (needs_set && !max_hold_) {
    return base::Error(base::ErrorCode::kInternal, "fs " + call + " without a set");
  }
  return {};
}

Result<void> FakeFsFreezer::arm(const std::vector<std::string>& mount_points, base::Millis max_hold,
                                base::Deadline) {
  if (auto ok = called("arm", false); !ok) return ok;
  mount_points_ = mount_points;
  max_hold_ = max_hold;
  return {};
}

Result<void> FakeFsFreezer::extend(base::Millis max_hold, base::Deadline) {
  if (auto ok = called("extend", true); !ok) return ok;
  max_hold_ = max_hold;
  return {};
}

Result<void> FakeFsFreezer::confirm() {
  // Of interest only when it fails.
  return failing_.contains("confirm") ? called("confirm", true) : Result<void>{};
}

Result<void> FakeFsFreezer::sync(base::Deadline) {
  return called("sync", true);
}

Result<void> FakeFsFreezer::thaw(base::Deadline) {
  if (auto ok = called("thaw", true); !ok) return ok;
  frozen_ = false;
  return {};
}

Result<void> FakeFsFreezer::disarm(base::Deadline) {
  if (auto ok = called("disarm", false); !ok) return ok;
  max_hold_.reset();
  mount_points_.clear();
  return {};
}

}  // namespace holdfast::support
