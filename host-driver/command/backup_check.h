// SPDX-License-Identifier: MIT
//
// Are the files of a backup what the manifest says, and the images sound in themselves? Of each
// image of the chain, before any program opens it: a regular file of the recorded size, a qcow2
// header that names the image below and nothing else, the checksum; then qemu-img check of it
// alone.
//
// Images that several backups stand on are read once per object.
//
// Threads: one at a time. Ownership: borrows all that it is made of. Errors: kCorrupt, kRefused,
// kCancelled; those of an image further down say in which backup it lies.
#pragma once

#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "image/qemu_img.h"
#include "image/source.h"
#include "repository/chain.h"

namespace holdfast::host::command {

// The part of it that reads no more than headers: what a program is to open is what the manifests
// name, and refers to nothing else. What qemu-img is to be told of, top first.
[[nodiscard]] base::Result<std::vector<image::Layer>> look_at_disk(
    const repository::Repository& repository, const repository::Backup& backup,
    const repository::DiskEntry& disk);

class BackupCheck {
 public:
  // `timeout` is that of each image.
  BackupCheck(const repository::Repository& repository, image::QemuImg& images,
              base::Millis timeout, std::stop_token stop)
      : repository_(repository), images_(images), timeout_(timeout), stop_(std::move(stop)) {}

  // What qemu-img is to be told of, top first.
  [[nodiscard]] base::Result<std::vector<image::Layer>> check_disk(
      const repository::Backup& backup, const repository::DiskEntry& disk,
      const image::Progress& progress);

  // Of the archive of a container, read to its end; its path.
  [[nodiscard]] base::Result<std::string> check_archive(const repository::Backup& backup,
                                                        const image::Progress& progress);

  // The same of a file that is no disk.
  [[nodiscard]] base::Result<void> check_file(const repository::Backup& backup,
                                              const repository::FileEntry& file);

 private:
  [[nodiscard]] base::Result<void> check_image(const repository::StoredImage& stored,
                                               const std::string& path,
                                               const image::Progress& progress);

  const repository::Repository& repository_;
  image::QemuImg& images_;
  base::Millis timeout_;
  std::stop_token stop_;
  std::map<std::string, base::Result<void>> known_;  // by path
};

}  // namespace holdfast::host::command
