// SPDX-License-Identifier: MIT
#include "command/backup_check.h"

#include "base/text.h"
#include "image/checksum.h"
#include "image/qcow2_header.h"

namespace holdfast::host::command {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

Result<std::string> check_disk(const repository::Backup& backup, const repository::DiskEntry& disk,
                               image::QemuImg& images, Deadline deadline,
                               const std::stop_token& stop, const image::Progress& progress) {
  auto path = repository::Repository::disk_path(backup, disk);
  if (!path) return path;
  const auto header = image::read_standalone_header(*path);
  if (!header) return header.error();
  if (header->virtual_size != disk.virtual_size) {
    return Error(ErrorCode::kCorrupt, "'" + base::printable(*path) + "' is an image of " +
                                          std::to_string(header->virtual_size) +
                                          " bytes, the manifest says " +
                                          std::to_string(disk.virtual_size));
  }
  const auto digest = image::digest_file(*path, stop, [&](std::uint64_t done) {
    if (progress && disk.bytes > 0) {
      progress(100.0 * static_cast<double>(done) / static_cast<double>(disk.bytes));
    }
  });
  if (!digest) return digest.error();
  if (digest->sha256 != disk.sha256) {
    return Error(ErrorCode::kCorrupt,
                 "the checksum of '" + base::printable(*path) + "' is not that of the manifest");
  }
  if (auto sound = images.check(*path, deadline, stop); !sound) return std::move(sound).error();
  return path;
}

}  // namespace holdfast::host::command
