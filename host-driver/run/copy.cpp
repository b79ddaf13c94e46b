// SPDX-License-Identifier: MIT
//
// From what is now read-only into the draft, each disk a qcow2 file: one that stands for
// itself, or what has changed since the latest backup.
#include <optional>

#include "run/background.h"
#include "run/backup_run.h"
#include "run/sealing.h"

namespace holdfast::host::run {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

constexpr base::Millis kBetweenLooks{200};

Error with_disk(Error error, const std::string& name) {
  return base::wrap(std::move(error), "unable to copy the disk '" + name + "'");
}

}  // namespace

Result<void> BackupRun::copy(const std::stop_token& stop) {
  observer_.step("copy");
  const Background background;
  take_definition();
  copy_begin_ = std::chrono::steady_clock::now();
  // First of all: until it is written the guest's own writes may wait for it.
  if (auto written = await_memory(stop); !written) return written;
  if (auto copied = copy_disks(stop); !copied) return copied;
  if (auto kept = keep_memory(stop); !kept) return kept;
  copy_end_ = std::chrono::steady_clock::now();
  return save_definition();
}

Result<void> BackupRun::copy_disks(const std::stop_token& stop) {
  // Whichever of the two that go on side by side fails ends the other.
  std::stop_source together;
  const std::stop_callback passed_on(stop, [&] { together.request_stop(); });
  std::optional<Sealing> sealing;
  for (std::size_t i = 0; i < machine_.graph().disks.size(); ++i) {
    auto written = write_copy(i, together.get_token());
    if (!written) together.request_stop();
    if (sealing) {
      auto sealed = take_seal(*sealing);
      // What was only stopped, for the other's sake, has nothing to tell.
      if (!sealed && (written || sealed.error().code() != ErrorCode::kCancelled)) return sealed;
    }
    if (!written) return with_disk(std::move(written).error(), machine_.graph().disks[i].name);
    const CopiedDisk& copied = copied_.emplace_back(std::move(*written));
    sealing.emplace(images_,
                    WrittenCopy{draft_->directory() + "/" + copied.file,
                                copied.plan.increment() ? copied.plan.reference : std::string(),
                                copied.disk.virtual_size},
                    Deadline::in(settings_.copy_timeout), together);
  }
  return sealing ? take_seal(*sealing) : Result<void>();
}

Result<CopiedDisk> BackupRun::write_copy(std::size_t index, const std::stop_token& stop) {
  const qmp::Disk& disk = machine_.graph().disks[index];
  const std::string label = "copying " + label_of(index);
  auto written = strategy_->copy(index, Deadline::in(settings_.copy_timeout), stop,
                                 [&](double percent) { observer_.progress(label, percent); });
  if (!written) return std::move(written).error();
  return CopiedDisk{disk, plan_[index], snapshot::image_file(disk), 0, {}};
}

Result<void> BackupRun::take_seal(Sealing& sealing) {
  CopiedDisk& copied = copied_.back();
  const std::string label = "checksum " + label_of(copied_.size() - 1);
  while (!sealing.is_done_within(kBetweenLooks))
    observer_.progress(label, sealing.percent());
  auto digest = sealing.result();
  if (!digest) return with_disk(std::move(digest).error(), copied.disk.name);
  copied.bytes = digest->bytes;
  copied.sha256 = std::move(digest->sha256);
  return {};
}

std::string BackupRun::label_of(std::size_t index) const {
  const auto& disks = machine_.graph().disks;
  return disks[index].name + " (" + std::to_string(index + 1) + "/" + std::to_string(disks.size()) +
         ")";
}

}  // namespace holdfast::host::run
