// SPDX-License-Identifier: MIT
//
// One way to get all disks of a machine at one instant, to be copied from and to be done with.
//
//   check ── prepare ── take ── copy, disk by disk ── settle
//               └── settle: also after a failure of any call, and when take() never came
//
// Everything slow stands in prepare(); between freeze and thaw only take() is called. What a
// strategy leaves on disk or in QEMU it writes into the journal first, so that the next run, or
// `holdfast recover`, can finish or undo it.
//
// Threads: one at a time. Ownership: borrows its context, which outlives it.
// Errors: what an administrator will read; name the disk.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "image/qemu_img.h"
#include "qmp/block_graph.h"
#include "qmp/client.h"
#include "snapshot/copy_jobs.h"
#include "snapshot/increment.h"
#include "snapshot/instant.h"
#include "snapshot/journal.h"

namespace holdfast::host::snapshot {

struct StrategyContext {
  qmp::Client& monitor;
  image::QemuImg& images;
  JournalFile& journal;
  std::string vm;
  // Ends the names of nodes and files of this run: eight hexadecimal digits.
  std::string run;
  // Empty: beside each image.
  std::string overlay_directory;
  // Free space that must be there for what the guest writes meanwhile, in percent of its disks.
  int overlay_reserve = 0;
  // Of the dirty bitmaps, see bitmaps.h: the repository's, and the backup's that this run makes.
  // Empty: none is made, and no increment.
  std::string tag;
  std::string backup_id;
  // Of the method btrfs: the file that names what it sent, and the directory of the repository in
  // which that is received. The latter empty: it sends nothing.
  std::string sent_record = {};
  std::string receive_directory = {};
  // Of all copies, in bytes per second; 0: as fast as it goes.
  std::int64_t rate_limit = 0;
  // How the machine's memory is kept by a method that does: "auto", "live", "stopped"; and how long
  // the machine may stand still for it.
  std::string memory = "auto";
  base::Millis memory_timeout{0};
};

// The memory of the machine, of the instant of its disks: QEMU's migration stream.
struct KeptMemory {
  std::string file;  // beside the copies
  std::uint64_t ram_bytes = 0;
  // Written while the machine ran; if not, why.
  bool live = false;
  std::string stopped_because;
  // How long the machine stood still.
  std::chrono::nanoseconds standstill{0};
};

// Where the copies go. Each is a file of its own there.
inline constexpr std::string_view kMemoryFile = "memory.state";
[[nodiscard]] inline std::string image_file(const qmp::Disk& disk) {
  return disk.name + ".qcow2";
}

class Strategy : public Instant {
 public:
  explicit Strategy(StrategyContext context) : context_(std::move(context)) {}

  // As in the manifest.
  [[nodiscard]] virtual std::string_view name() const = 0;

  // Will this method do for these disks, and what will it copy of each of them, in their order?
  // Changes nothing. Keeps what it was given and what it answers for the calls below.
  [[nodiscard]] virtual base::Result<std::vector<DiskPlan>> check(const qmp::BlockGraph& graph,
                                                                  const Parent& parent) = 0;

  // `directory` is where copy() writes to.
  [[nodiscard]] virtual base::Result<void> prepare(const std::string& directory,
                                                   base::Deadline deadline,
                                                   const std::stop_token& stop) = 0;

  // take() comes here; after kTimedOut, settle() finds out.

  // One disk, as it was at the instant, into image_file(): an image of its own, or an increment
  // over the parent's image of the same disk.
  [[nodiscard]] virtual base::Result<void> copy(std::size_t index, base::Deadline deadline,
                                                const std::stop_token& stop,
                                                const CopyProgress& progress) = 0;

  // Beside the copies, where they go; known after check().
  [[nodiscard]] virtual std::uint64_t room_beside() const { return 0; }
  // Before the copies, and once: what else the method keeps, when it is written. Most keep nothing.
  [[nodiscard]] virtual base::Result<std::optional<KeptMemory>> memory(
      base::Deadline /*deadline*/, const std::stop_token& /*stop*/,
      const CopyProgress& /*progress*/) {
    return std::optional<KeptMemory>();
  }

  // Leaves nothing of this run in QEMU or on disk, and loses nothing that the guest wrote. On
  // failure the journal says what is left. May be repeated.
  [[nodiscard]] virtual base::Result<void> settle(base::Deadline deadline,
                                                  const std::stop_token& stop) = 0;

  // The same for what an earlier run left, found in the journal and in the block graph; one line
  // for each thing done.
  [[nodiscard]] virtual base::Result<std::vector<std::string>> recover(
      base::Deadline deadline, const std::stop_token& stop) = 0;

 protected:
  [[nodiscard]] StrategyContext& context() { return context_; }
  [[nodiscard]] const StrategyContext& context() const { return context_; }

 private:
  StrategyContext context_;
};

}  // namespace holdfast::host::snapshot
