// SPDX-License-Identifier: MIT
//
// The root of a container in a subvolume of btrfs; see root_snapshot.h.
#pragma once

#include "container/root_snapshot.h"

namespace holdfast::host::container {

class BtrfsRoot final : public RootSnapshot {
 public:
  [[nodiscard]] static base::Result<std::unique_ptr<RootSnapshot>> of(
      const std::string& root, const std::string& name, base::ProcessRunner& processes,
      base::Deadline deadline);

  [[nodiscard]] std::string_view method() const override { return "btrfs"; }
  [[nodiscard]] base::Result<std::vector<std::string>> left_out(
      base::Deadline deadline) const override;
  [[nodiscard]] base::Result<void> take(base::Deadline deadline) override;
  [[nodiscard]] base::Result<std::string> tree() override;
  [[nodiscard]] base::Result<void> is_intact(base::Deadline deadline) override;
  [[nodiscard]] base::Result<void> remove(base::Deadline deadline) override;

 private:
  BtrfsRoot(const std::string& root, snapshot::JournalSnapshot place,
            base::ProcessRunner& processes);

  // The root below the top of the subvolume; empty: it is the top.
  std::string inside_;
};

}  // namespace holdfast::host::container
