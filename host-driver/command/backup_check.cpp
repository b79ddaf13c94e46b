// SPDX-License-Identifier: MIT
#include "command/backup_check.h"

#include "base/text.h"
#include "container/archive.h"
#include "image/checksum.h"
#include "image/qcow2_header.h"

namespace holdfast::host::command {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

// All that can be known of an image from its name, its size and its header.
Result<void> look_at_image(const repository::StoredImage& stored, const std::string& path) {
  const repository::DiskEntry& disk = stored.disk;
  if (auto there = repository::Repository::disk_path(stored.directory, disk); !there) {
    return std::move(there).error();
  }
  const auto header = disk.backing_id.empty()
                          ? image::read_standalone_header(path)
                          : image::read_increment_header(
                                path, repository::backing_reference(disk.backing_id, disk.file));
  if (!header) return header.error();
  if (header->virtual_size != disk.virtual_size) {
    return Error(ErrorCode::kCorrupt, "'" + base::printable(path) + "' is an image of " +
                                          std::to_string(header->virtual_size) +
                                          " bytes, the manifest says " +
                                          std::to_string(disk.virtual_size));
  }
  return {};
}

std::string path_of(const repository::StoredImage& stored) {
  return stored.directory + "/" + stored.disk.file;
}

Error further_down(const Error& error, const repository::StoredImage& stored) {
  return base::wrap(error, "in backup '" + stored.id + "', on which it stands");
}

Error wrong_checksum(const std::string& path) {
  return {ErrorCode::kCorrupt,
          "the checksum of '" + base::printable(path) + "' is not that of the manifest"};
}

}  // namespace

Result<std::vector<image::Layer>> look_at_disk(const repository::Repository& repository,
                                               const repository::Backup& backup,
                                               const repository::DiskEntry& disk) {
  const auto chain = repository::images_of(repository, backup, disk);
  if (!chain) return chain.error();
  std::vector<image::Layer> layers;
  for (const repository::StoredImage& stored : *chain) {
    std::string path = path_of(stored);
    if (auto looked = look_at_image(stored, path); !looked) {
      return layers.empty() ? looked.error() : further_down(looked.error(), stored);
    }
    layers.push_back({std::move(path), "qcow2"});
  }
  return layers;
}

Result<void> BackupCheck::check_image(const repository::StoredImage& stored,
                                      const std::string& path, const image::Progress& progress) {
  if (auto looked = look_at_image(stored, path); !looked) return looked;
  const repository::DiskEntry& disk = stored.disk;
  const auto digest = image::digest_file(path, stop_, progress);
  if (!digest) return digest.error();
  if (digest->sha256 != disk.sha256) return wrong_checksum(path);
  return images_.check(path, Deadline::in(timeout_), stop_);
}

Result<std::vector<image::Layer>> BackupCheck::check_disk(const repository::Backup& backup,
                                                          const repository::DiskEntry& disk,
                                                          const image::Progress& progress) {
  const auto chain = repository::images_of(repository_, backup, disk);
  if (!chain) return chain.error();
  std::vector<image::Layer> layers;
  for (const repository::StoredImage& stored : *chain) {
    std::string path = path_of(stored);
    auto known = known_.find(path);
    if (known == known_.end()) {
      known = known_.emplace(path, check_image(stored, path, progress)).first;
    }
    if (const Result<void>& sound = known->second; !sound) {
      return layers.empty() ? sound.error() : further_down(sound.error(), stored);
    }
    layers.push_back({std::move(path), "qcow2"});
  }
  return layers;
}

Result<std::string> BackupCheck::check_archive(const repository::Backup& backup,
                                               const image::Progress& progress) {
  const repository::ArchiveEntry& archive = *backup.manifest.archive;
  auto path = repository::Repository::archive_path(backup.directory, archive);
  if (!path) return path;
  const auto digest = image::digest_file(*path, stop_, progress);
  if (!digest) return digest.error();
  if (digest->sha256 != archive.sha256) return wrong_checksum(*path);
  container::Archiver archiver(images_.processes(), Deadline::in(timeout_), stop_);
  const auto entries = archiver.check(*path, archive.compression);
  if (!entries) return entries.error();
  return path;
}

Result<void> BackupCheck::check_file(const repository::Backup& backup,
                                     const repository::FileEntry& file) {
  const auto path = repository::Repository::file_path(backup.directory, file);
  if (!path) return path.error();
  const auto digest = image::digest_file(*path, stop_, {});
  if (!digest) return digest.error();
  if (digest->sha256 != file.sha256) return wrong_checksum(*path);
  return {};
}

}  // namespace holdfast::host::command
