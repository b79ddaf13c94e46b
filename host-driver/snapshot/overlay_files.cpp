// SPDX-License-Identifier: MIT
#include "snapshot/overlay_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "base/unique_fd.h"
#include "snapshot/room.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

Result<void> make_file_like(const std::string& path, const std::string& base_path) {
  struct stat base_status {};
  if (::stat(base_path.c_str(), &base_status) != 0) {
    return base::errno_error(errno, "unable to look at the image " + base::in_quotes(base_path));
  }
  const base::UniqueFd fd(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.valid())
    return base::errno_error(errno, "unable to make the overlay " + base::in_quotes(path));
  if (base_status.st_uid != ::geteuid() &&
      ::fchown(fd.get(), base_status.st_uid, base_status.st_gid) != 0) {
    return base::errno_error(errno, "unable to give the overlay " + base::in_quotes(path) +
                                        " to the owner of " + base::in_quotes(base_path));
  }
  const mode_t mode = S_ISREG(base_status.st_mode) ? base_status.st_mode & 0666U : 0600U;
  if (::fchmod(fd.get(), mode | 0600U) != 0) {
    return base::errno_error(errno, "unable to set the mode of " + base::in_quotes(path));
  }
  return {};
}

Result<void> check_room(const OverlayPlace& place, const std::vector<qmp::Disk>& disks) {
  std::vector<Wanted> wanted;
  wanted.reserve(disks.size());
  for (const qmp::Disk& disk : disks) {
    wanted.push_back({base::directory_of(overlay_path(place, disk)),
                      disk.virtual_size / 100 * static_cast<std::uint64_t>(place.reserve)});
  }
  return check_free(wanted, "put overlays into",
                    "the guest's writes go there during the copy: see overlay-directory and "
                    "overlay-reserve");
}

}  // namespace

std::string overlay_path(const OverlayPlace& place, const qmp::Disk& disk) {
  const std::string file = place.vm + "." + disk.name + std::string(kOverlayMark) + place.run +
                           std::string(kOverlaySuffix);
  return (place.directory.empty() ? base::directory_of(disk.chain.front().path) : place.directory) +
         "/" + file;
}

bool is_overlay_path(std::string_view path) {
  return path.find(kOverlayMark, path.rfind('/') + 1) != std::string_view::npos &&
         path.ends_with(kOverlaySuffix);
}

Result<void> check_overlays(const OverlayPlace& place, const std::vector<qmp::Disk>& disks) {
  if (disks.empty()) {
    return Error(ErrorCode::kNotFound, "the machine has no disk that could be backed up");
  }
  for (const qmp::Disk& disk : disks) {
    const std::string& path = disk.chain.front().path;
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
      return base::errno_error(errno, "unable to find the image " + base::in_quotes(path) +
                                          " of disk '" + disk.name + "'");
    }
    if (S_ISBLK(status.st_mode) && place.directory.empty()) {
      return Error(ErrorCode::kConfiguration,
                   "unable to put an overlay beside the device " + base::in_quotes(path))
          .with_hint("set overlay-directory");
    }
  }
  return check_room(place, disks);
}

Result<void> make_overlay_file(const std::string& path, const qmp::Disk& disk,
                               image::QemuImg& images, Deadline deadline) {
  const qmp::ImageLayer& base = disk.chain.front();
  if (auto made = make_file_like(path, base.path); !made) return made;
  return images.create_overlay(path, base.path, base.format, disk.virtual_size, deadline);
}

Error not_committed(const std::string& disk, Error cause) {
  const ErrorCode code = cause.code();
  return Error(code, "unable to commit the overlay of disk '" + disk + "'")
      .with_hint(
          "the guest goes on with the overlay; 'holdfast recover' or the next backup will "
          "finish this")
      .caused_by(std::move(cause));
}

void flush_early(const qmp::Disk& disk) {
  if (disk.cache_no_flush) return;
  const base::UniqueFd fd(::open(disk.chain.front().path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.valid()) (void)::fdatasync(fd.get());
}

}  // namespace holdfast::host::snapshot
