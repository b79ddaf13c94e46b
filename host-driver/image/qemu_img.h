// SPDX-License-Identifier: MIT
//
// qemu-img as a process: an argument vector, a deadline, formats always given. Paths that could be
// taken for options or protocols never get there: they are absolute.
//
// Threads: as the ProcessRunner. Ownership: borrows it. Errors: kProcessFailed with the first line
// that qemu-img said, kNotFound if it is not installed, kTimedOut, kCancelled, kCorrupt from
// check().
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/process_runner.h"
#include "image/compression.h"
#include "image/image_info.h"
#include "image/progress.h"

namespace holdfast::host::image {

class QemuImg {
 public:
  QemuImg(base::ProcessRunner& processes, std::string program)
      : processes_(processes), program_(std::move(program)) {}

  // What it runs with, for the programs that stand beside it.
  [[nodiscard]] base::ProcessRunner& processes() { return processes_; }

  // "7.2.22"
  [[nodiscard]] base::Result<std::string> version(base::Deadline deadline);

  // What convert() reads and writes, in bytes per second; 0: as fast as it goes.
  void limit_rate(std::int64_t bytes) { rate_limit_ = bytes; }

  // What create() and create_increment() make ready for, and convert() does to a qcow2 image.
  void compress(Compression compression) { compression_ = compression; }
  [[nodiscard]] Compression compression() const { return compression_; }
  // Can this qemu-img do so? kUnsupported if not. Leaves nothing on any disk.
  [[nodiscard]] base::Result<void> check_compression(base::Deadline deadline);

  // An empty qcow2 image that stands for itself.
  [[nodiscard]] base::Result<void> create(const std::string& path, std::uint64_t virtual_size,
                                          base::Deadline deadline);

  // An empty qcow2 overlay. The backing file is named in the header and not opened: the running
  // machine holds its lock.
  [[nodiscard]] base::Result<void> create_overlay(const std::string& path,
                                                  const std::string& backing_path,
                                                  const std::string& backing_format,
                                                  std::uint64_t virtual_size,
                                                  base::Deadline deadline);

  // The same with a qcow2 image below it, which is named as `reference` and not opened: what a
  // backup job fills with an increment.
  [[nodiscard]] base::Result<void> create_increment(const std::string& path,
                                                    const std::string& reference,
                                                    std::uint64_t virtual_size,
                                                    base::Deadline deadline);

  // `source` as source_of() says it. Overwrites `target`.
  [[nodiscard]] base::Result<void> convert(const std::string& source, const std::string& target,
                                           const std::string& target_format,
                                           base::Deadline deadline, const std::stop_token& stop,
                                           const Progress& progress);

  // As convert(), of an internal snapshot of the first image, which a machine may have open: what a
  // snapshot holds is never written to.
  [[nodiscard]] base::Result<void> extract(const std::string& source, const std::string& snapshot,
                                           const std::string& target,
                                           const std::string& target_format,
                                           base::Deadline deadline, const std::stop_token& stop,
                                           const Progress& progress);

  // Of this image alone. Of one that a machine has open only with kShared.
  enum class Use { kAlone, kShared };
  [[nodiscard]] base::Result<ImageInfo> info(const std::string& path, const std::string& format,
                                             Use use, base::Deadline deadline);

  // Internal snapshots of a qcow2 image that nobody has open: qemu-img refuses any other.
  enum class SnapshotChange { kCreate, kApply, kDelete };
  [[nodiscard]] base::Result<void> change_snapshot(SnapshotChange change, const std::string& path,
                                                   const std::string& name,
                                                   base::Deadline deadline);
  // Likewise one of its dirty bitmaps.
  [[nodiscard]] base::Result<void> remove_bitmap(const std::string& path, const std::string& name,
                                                 base::Deadline deadline);

  // What this qcow2 overlay holds, into the image right below it; it keeps it itself. Of images
  // that nobody has open.
  [[nodiscard]] base::Result<void> commit(const std::string& path, base::Deadline deadline,
                                          const std::stop_token& stop);
  // The overlay reads the same, on another image than before; empty: on none. Interrupted at any
  // moment it still does.
  [[nodiscard]] base::Result<void> rebase(const std::string& path, const std::string& below,
                                          const std::string& below_format, base::Deadline deadline,
                                          const std::stop_token& stop);

  // Has nothing ever been written to this qcow2 overlay? Its backing file is left out of account.
  [[nodiscard]] base::Result<bool> is_untouched(const std::string& path, base::Deadline deadline);

  // Is this qcow2 image consistent in itself, whatever stands below it? kCorrupt if not.
  [[nodiscard]] base::Result<void> check(const std::string& path, base::Deadline deadline,
                                         const std::stop_token& stop);

 private:
  [[nodiscard]] base::Result<std::string> run(base::ProcessSpec spec);
  // The words of `qemu-img convert` after the first.
  [[nodiscard]] base::Result<void> convert(std::vector<std::string> words,
                                           const std::string& target_format,
                                           base::Deadline deadline, const std::stop_token& stop,
                                           const Progress& progress);
  [[nodiscard]] base::Result<void> create(std::vector<std::string> options, const std::string& path,
                                          std::uint64_t virtual_size, base::Deadline deadline);
  // "compression_type=zstd"; empty if nothing is to be compressed.
  [[nodiscard]] std::string creation_option() const;

  base::ProcessRunner& processes_;
  std::string program_;
  std::int64_t rate_limit_ = 0;
  Compression compression_ = Compression::kNone;
};

// The percentage in a piece of `qemu-img convert -p` output: "    (12.34/100%)\r"; the last one
// counts. Negative if there is none.
[[nodiscard]] double percent_in(std::string_view piece);

}  // namespace holdfast::host::image
