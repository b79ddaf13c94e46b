// SPDX-License-Identifier: MIT
//
// From what is now read-only into the draft, each disk a qcow2 file that stands for itself.
#include <algorithm>
#include <filesystem>

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

Result<void> BackupRun::copy() {
  observer_.step("copy");
  const Background background;
  copy_begin_ = std::chrono::steady_clock::now();
  const auto sources = strategy_->sources();
  if (!sources) return sources.error();
  std::size_t number = 0;
  for (const snapshot::Source& source : *sources) {
    const std::string label = source.disk.name + " (" + std::to_string(++number) + "/" +
                              std::to_string(sources->size()) + ")";
    auto copied = copy_disk(source, label);
    if (!copied) {
      const ErrorCode code = copied.error().code();
      return Error(code, "unable to copy the disk '" + source.disk.name + "'")
          .caused_by(std::move(copied).error());
    }
    copied_.push_back(std::move(*copied));
  }
  copy_end_ = std::chrono::steady_clock::now();
  return {};
}

Result<CopiedDisk> BackupRun::copy_disk(const snapshot::Source& source, const std::string& label) {
  CopiedDisk copied{source.disk, source.disk.name + ".qcow2", 0, {}};
  const std::string target = draft_->directory() + "/" + copied.file;
  auto converted =
      images_.convert(source.image, target, "qcow2", Deadline::in(settings_.copy_timeout), stop_,
                      [&](double percent) { observer_.progress("copying " + label, percent); });
  if (!converted) return std::move(converted).error();
  // qemu-img convert writes without flushing (-t unsafe is its default).
  if (auto flushed = repository::flush_file(target); !flushed) return std::move(flushed).error();
  if (auto checked = images_.check(target, Deadline::in(settings_.copy_timeout), stop_); !checked) {
    return std::move(checked).error();
  }
  const auto header = image::read_standalone_header(target);
  if (!header) return header.error();
  if (header->virtual_size < source.disk.virtual_size) {
    return Error(ErrorCode::kCorrupt, "the copy has " + std::to_string(header->virtual_size) +
                                          " bytes, the disk " +
                                          std::to_string(source.disk.virtual_size));
  }
  std::error_code ignored;
  const auto size =
      static_cast<double>(std::max<std::uintmax_t>(std::filesystem::file_size(target, ignored), 1));
  auto digest = image::digest_file(target, stop_, [&](std::uint64_t done) {
    observer_.progress("checksum " + label, 100.0 * static_cast<double>(done) / size);
  });
  if (!digest) return std::move(digest).error();
  copied.bytes = digest->bytes;
  copied.sha256 = std::move(digest->sha256);
  return copied;
}

}  // namespace holdfast::host::run
