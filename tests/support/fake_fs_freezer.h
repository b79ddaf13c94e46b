// SPDX-License-Identifier: MIT
//
// Filesystems that only exist in memory. Strict: what needs an armed set fails without one.
//
// Threads: one, like the interface.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/fs_freezer.h"
#include "support/call_log.h"

namespace holdfast::support {

class FakeFsFreezer final : public core::FsFreezer {
 public:
  explicit FakeFsFreezer(CallLog& log) : log_(log) {}

  // The next calls of this name ("arm", "extend", "confirm", "sync", "thaw", "disarm") fail.
  void fail(const std::string& call) { failing_.insert(call); }
  void mend() { failing_.clear(); }
  // As qemu-ga does between the hooks.
  void freeze() { frozen_ = true; }
  [[nodiscard]] bool is_frozen() const { return frozen_; }
  [[nodiscard]] bool is_armed() const { return max_hold_.has_value(); }
  [[nodiscard]] std::optional<base::Millis> max_hold() const { return max_hold_; }
  [[nodiscard]] const std::vector<std::string>& mount_points() const { return mount_points_; }

  [[nodiscard]] base::Result<void> arm(const std::vector<std::string>& mount_points,
                                       base::Millis max_hold, base::Deadline deadline) override;
  [[nodiscard]] base::Result<void> extend(base::Millis max_hold, base::Deadline deadline) override;
  [[nodiscard]] base::Result<void> confirm() override;
  [[nodiscard]] base::Result<void> sync(base::Deadline deadline) override;
  [[nodiscard]] base::Result<void> thaw(base::Deadline deadline) override;
  [[nodiscard]] base::Result<void> disarm(base::Deadline deadline) override;

 private:
  [[nodiscard]] base::Result<void> called(const std::string& call, bool needs_set);

  CallLog& log_;
  std::set<std::string> failing_;
  std::vector<std::string> mount_points_;
  std::optional<base::Millis> max_hold_;
  bool frozen_ = false;
};

}  // namespace holdfast::support
