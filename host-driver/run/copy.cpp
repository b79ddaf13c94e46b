// SPDX-License-Identifier: MIT
//
// From what is now read-only into the draft, each disk a qcow2 file: one that stands for
// itself, or what has changed since the latest backup.
#include <algorithm>
#include <filesystem>
#include <future>

#include "base/text.h"
#include "image/checksum.h"
#include "image/qcow2_header.h"
#include "repository/paths.h"
#include "run/background.h"
#include "run/backup_run.h"

namespace holdfast::host::run {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

Result<void> BackupRun::copy(const std::stop_token& stop) {
  observer_.step("copy");
  const Background background;
  take_definition();
  copy_begin_ = std::chrono::steady_clock::now();
  // First of all: until it is written the guest's own writes may wait for it.
  if (auto written = await_memory(stop); !written) return written;
  for (std::size_t i = 0; i < machine_.graph().disks.size(); ++i) {
    auto copied = copy_disk(i, stop);
    if (!copied) {
      return base::wrap(std::move(copied).error(),
                        "unable to copy the disk '" + machine_.graph().disks[i].name + "'");
    }
    copied_.push_back(std::move(*copied));
  }
  if (auto kept = keep_memory(stop); !kept) return kept;
  copy_end_ = std::chrono::steady_clock::now();
  return save_definition();
}

Result<CopiedDisk> BackupRun::copy_disk(std::size_t index, const std::stop_token& stop) {
  const qmp::Disk& disk = machine_.graph().disks[index];
  const snapshot::DiskPlan& plan = plan_[index];
  const std::string label = disk.name + " (" + std::to_string(index + 1) + "/" +
                            std::to_string(machine_.graph().disks.size()) + ")";
  CopiedDisk copied{disk, plan, snapshot::image_file(disk), 0, {}};
  const std::string target = draft_->directory() + "/" + copied.file;
  auto written =
      strategy_->copy(index, Deadline::in(settings_.copy_timeout), stop,
                      [&](double percent) { observer_.progress("copying " + label, percent); });
  if (!written) return std::move(written).error();
  // qemu-img convert writes without flushing (-t unsafe is its default). The disk is at work on it
  // while the processor looks at the copy and adds it up.
  auto flushing =
      std::async(std::launch::async, [&target] { return repository::flush_file(target); });
  if (auto checked = images_.check(target, Deadline::in(settings_.copy_timeout), stop); !checked) {
    return std::move(checked).error();
  }
  const auto header = plan.increment() ? image::read_increment_header(target, plan.reference)
                                       : image::read_standalone_header(target);
  if (!header) return header.error();
  if (header->virtual_size < disk.virtual_size) {
    return Error(ErrorCode::kCorrupt, "the copy has " + std::to_string(header->virtual_size) +
                                          " bytes, the disk " + std::to_string(disk.virtual_size));
  }
  std::error_code ignored;
  const auto size =
      static_cast<double>(std::max<std::uintmax_t>(std::filesystem::file_size(target, ignored), 1));
  auto digest = image::digest_file(target, stop, [&](std::uint64_t done) {
    observer_.progress("checksum " + label, 100.0 * static_cast<double>(done) / size);
  });
  if (!digest) return std::move(digest).error();
  if (auto flushed = flushing.get(); !flushed) return std::move(flushed).error();
  copied.bytes = digest->bytes;
  copied.sha256 = std::move(digest->sha256);
  return copied;
}

}  // namespace holdfast::host::run
