// SPDX-License-Identifier: MIT
//
// What the methods share whose instant is taken by the storage below QEMU:
//
//   check     which units of storage hold the images: subvolumes, files, volumes; is there room
//   prepare   the journal; whatever can be done beforehand
//   take      the machine stands still (standstill.h), a snapshot of each unit, it goes on
//   copy      qemu-img reads the images inside the snapshots: read-only, formats given, no repair,
//             behind others that want the disk
//   settle    the snapshots are removed
//
// The dirty bitmaps of QEMU know nothing of such an instant: every copy is a full one.
//
// Threads, errors: as Strategy.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "image/source.h"
#include "snapshot/strategy.h"

namespace holdfast::host::snapshot {

class StorageStrategy : public Strategy {
 public:
  explicit StorageStrategy(StrategyContext context) : Strategy(std::move(context)) {}

  [[nodiscard]] bool stops_machine() const final { return journal_.resume; }
  [[nodiscard]] base::Result<std::vector<DiskPlan>> check(const qmp::BlockGraph& graph,
                                                          const Parent& parent) final;
  [[nodiscard]] base::Result<void> prepare(const std::string& directory, base::Deadline deadline,
                                           const std::stop_token& stop) final;
  [[nodiscard]] base::Result<void> take(base::Deadline deadline) final;
  [[nodiscard]] base::Result<void> copy(std::size_t index, base::Deadline deadline,
                                        const std::stop_token& stop,
                                        const CopyProgress& progress) final;
  [[nodiscard]] base::Result<void> settle(base::Deadline deadline,
                                          const std::stop_token& stop) final;
  [[nodiscard]] base::Result<std::vector<std::string>> recover(base::Deadline deadline,
                                                               const std::stop_token& stop) final;

 protected:
  // "holdfast-web1-1f3a9c0b-0": the machine's name and the run's are ours, and plain.
  [[nodiscard]] std::string snapshot_name(std::size_t index) const;
  [[nodiscard]] static base::Deadline command_time();
  [[nodiscard]] const std::vector<JournalSnapshot>& snapshots() const { return journal_.snapshots; }
  // Of each disk, first the one that is written to; without symbolic links.
  [[nodiscard]] const std::vector<std::vector<image::Layer>>& layers() const { return layers_; }
  [[nodiscard]] int reserve() const { return context().overlay_reserve; }
  struct CopyOf {
    // The disk's images, none of them in a snapshot; the first is the one that is written to.
    const std::vector<image::Layer>& layers;
    std::string target;
  };

  // Why there is no increment, in words.
  [[nodiscard]] virtual std::string do_full_because() const;
  // Into the target, as it was at the instant. By default, by qemu-img.
  [[nodiscard]] virtual base::Result<void> do_copy(const CopyOf& disk, base::Deadline deadline,
                                                   const std::stop_token& stop,
                                                   const CopyProgress& progress);
  // Runs a program with this command; kProcessFailed with its first line on standard error.
  [[nodiscard]] base::Result<std::string> run(std::vector<std::string> argv,
                                              base::Deadline deadline);

 private:
  // Is all there that the method needs, beside the images?
  [[nodiscard]] virtual base::Result<void> do_check() = 0;
  // The unit of storage that holds this image, by a name that begins its path; `image` is absolute,
  // without symbolic links. The message of the error says why there is none that would do.
  [[nodiscard]] virtual base::Result<std::string> do_unit(const std::string& image) = 0;
  // Will this method do for these images of a disk? By default, for all.
  [[nodiscard]] virtual base::Result<void> do_suits(const std::vector<image::Layer>& layers);
  // Where the snapshot of the unit will stand; its name is snapshot_name(index) in some way.
  [[nodiscard]] virtual std::string do_place(const std::string& unit, std::size_t index) = 0;
  // Before the freeze, when the journal has been written.
  [[nodiscard]] virtual base::Result<void> do_prepare(const JournalSnapshot& snapshot,
                                                      base::Deadline deadline) = 0;
  // The instant.
  [[nodiscard]] virtual base::Result<void> do_take(const JournalSnapshot& snapshot,
                                                   base::Deadline deadline) = 0;
  // Is there room for what the guest overwrites during the copy? By default, on the filesystems of
  // the images.
  [[nodiscard]] virtual base::Result<void> do_room() const;
  // Where this image, which is in the unit, is in its snapshot. By default, below it by the same
  // name.
  [[nodiscard]] virtual base::Result<std::string> do_inside(const JournalSnapshot& snapshot,
                                                            const std::string& image);
  // Is the snapshot still all that it was made of? By default it cannot be otherwise.
  [[nodiscard]] virtual base::Result<void> do_intact(const JournalSnapshot& snapshot,
                                                     base::Deadline deadline);
  // Whether or not it is there. Removes nothing that was not made by do_prepare() or do_take().
  [[nodiscard]] virtual base::Result<void> do_remove(const JournalSnapshot& snapshot,
                                                     base::Deadline deadline) = 0;
  // What this method keeps from one run to the next, and has no more use for; by default nothing.
  // True if there was any.
  [[nodiscard]] virtual base::Result<bool> do_tidy(base::Deadline deadline);

  [[nodiscard]] base::Result<void> find_units();
  [[nodiscard]] base::Result<void> check_jobs();
  [[nodiscard]] base::Result<void> take_all(base::Deadline deadline);
  // The path of an image inside its unit's snapshot; of one that is in none, its own.
  [[nodiscard]] base::Result<std::string> inside(const std::string& image);
  void forget_standstill();
  [[nodiscard]] base::Result<void> remove_all(const Journal& journal, base::Deadline deadline);

  std::vector<qmp::Disk> disks_;
  std::vector<std::vector<image::Layer>> layers_;
  std::string directory_;
  Journal journal_;
  // By take(), and not yet let go on.
  bool stopped_ = false;
};

}  // namespace holdfast::host::snapshot
