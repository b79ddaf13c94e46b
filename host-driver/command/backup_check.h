// SPDX-License-Identifier: MIT
//
// Is the stored image of a disk what the manifest says, and sound in itself? Before any program
// opens it: a regular file of the recorded size, a qcow2 header that refers to nothing else, the
// checksum; then qemu-img check.
//
// Threads: any. Errors: kCorrupt, kRefused, kCancelled.
#pragma once

#include <stop_token>

#include "image/qemu_img.h"
#include "repository/repository.h"

namespace holdfast::host::command {

// The path of the file.
[[nodiscard]] base::Result<std::string> check_disk(const repository::Backup& backup,
                                                   const repository::DiskEntry& disk,
                                                   image::QemuImg& images, base::Deadline deadline,
                                                   const std::stop_token& stop,
                                                   const image::Progress& progress);

}  // namespace holdfast::host::command
