// SPDX-License-Identifier: MIT
//
// Method `checkpoint`: the disks as the method `overlay` has them, and the machine's memory of the
// same instant.
//
//   check     as overlay; can QEMU save this machine at all, and live?
//   prepare   as overlay; a file for the memory; QEMU set up for it, which the note tells of
//   take      the machine stops, the overlays' transaction, the memory begins to be written.
//             Live the machine runs again a few milliseconds later, else when all is written
//   copy      as overlay, while QEMU writes the memory
//   memory    waits for its end
//   settle    as overlay; QEMU set as it was
//
// No request is under way in a machine that is stopped, and nothing is written to its disks until
// it runs again: disks and memory are of one instant. The guest in that memory is frozen; whoever
// lets it go on thaws it.
//
// Threads, errors: as Strategy.
#pragma once

#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "snapshot/checkpoint/memory_note.h"
#include "snapshot/checkpoint/migration.h"
#include "snapshot/overlay/overlay_strategy.h"
#include "snapshot/strategy.h"

namespace holdfast::host::snapshot {

class CheckpointStrategy final : public Strategy {
 public:
  static constexpr std::string_view kName = "checkpoint";

  explicit CheckpointStrategy(const StrategyContext& context);

  [[nodiscard]] std::string_view name() const override { return kName; }
  [[nodiscard]] bool stops_machine() const override { return true; }
  [[nodiscard]] base::Millis patience() const override;
  [[nodiscard]] std::uint64_t room_beside() const override { return room_; }
  [[nodiscard]] base::Result<std::vector<DiskPlan>> check(const qmp::BlockGraph& graph,
                                                          const Parent& parent) override;
  [[nodiscard]] base::Result<void> prepare(const std::string& directory, base::Deadline deadline,
                                           const std::stop_token& stop) override;
  [[nodiscard]] base::Result<void> take(base::Deadline deadline) override;
  [[nodiscard]] base::Result<void> copy(std::size_t index, base::Deadline deadline,
                                        const std::stop_token& stop,
                                        const CopyProgress& progress) override;
  [[nodiscard]] base::Result<std::optional<KeptMemory>> memory(
      base::Deadline deadline, const std::stop_token& stop, const CopyProgress& progress) override;
  [[nodiscard]] base::Result<void> settle(base::Deadline deadline,
                                          const std::stop_token& stop) override;
  [[nodiscard]] base::Result<std::vector<std::string>> recover(
      base::Deadline deadline, const std::stop_token& stop) override;

 private:
  [[nodiscard]] base::Result<void> check_machine();
  [[nodiscard]] base::Result<void> take_both(base::Deadline deadline);
  [[nodiscard]] base::Result<void> go_on(bool well);
  [[nodiscard]] base::Result<void> put_back(base::Deadline deadline);

  OverlayStrategy disks_;
  Migration migration_;
  MemoryNoteFile note_file_;
  // What is to be put back; nothing: nothing is.
  std::optional<MemoryNote> note_;
  base::UniqueFd file_;
  std::uint64_t room_ = 0;
  KeptMemory kept_;
  // By take(), and not yet let go on.
  bool stopped_ = false;
};

}  // namespace holdfast::host::snapshot
