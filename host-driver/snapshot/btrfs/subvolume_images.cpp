// SPDX-License-Identifier: MIT
#include "snapshot/btrfs/subvolume_images.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/text.h"
#include "base/unique_fd.h"
#include "repository/paths.h"
#include "snapshot/btrfs/subvolume.h"
#include "snapshot/clone_file.h"
#include "snapshot/file_attributes.h"

namespace holdfast::host::snapshot {

using base::Error;
using base::ErrorCode;
using base::Result;
using base::UniqueFd;
using image::QemuImg;

namespace {

constexpr const char* kCloneMark = ".holdfast-revert";

// QEMU's programs lock bytes of what they have open, whoever may read or write it beside them
// (QEMU: block/file-posix.c). `qemu-img info` would not do: it shares a raw image with who writes
// to it.
constexpr off_t kFirstLocked = 100;
constexpr off_t kLocked = 200;

Result<void> check_closed(const std::string& path) {
  const UniqueFd image(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = kFirstLocked;
  lock.l_len = kLocked;
  if (!image.valid() || ::fcntl(image.get(), F_OFD_GETLK, &lock) != 0) {
    return base::errno_error(errno, "unable to look at " + base::in_quotes(path));
  }
  if (lock.l_type == F_UNLCK) return {};
  return Error(ErrorCode::kBusy, "a program has " + base::in_quotes(path) + " open")
      .with_hint("the machine perhaps, by another monitor socket?");
}

// What is below an image is still what it was then: a snapshot has files by their numbers.
Result<void> check_below(const image::Layer& now, const image::Layer& kept) {
  struct stat present {};
  struct stat then {};
  if (::stat(now.path.c_str(), &present) != 0 || ::stat(kept.path.c_str(), &then) != 0) {
    return base::errno_error(
        errno, "unable to look at " + base::in_quotes(now.path) + ", on which the image stands");
  }
  if (now.path == kept.path) return {};
  if (present.st_ino == then.st_ino && present.st_size == then.st_size &&
      present.st_mtim.tv_sec == then.st_mtim.tv_sec &&
      present.st_mtim.tv_nsec == then.st_mtim.tv_nsec) {
    return {};
  }
  return Error(ErrorCode::kRefused, base::in_quotes(now.path) +
                                        ", on which the image stands, has been written to since "
                                        "the point was taken")
      .with_hint("holdfast snapshot extract takes it from the point as well");
}

}  // namespace

Result<const KeptSubvolumes*> SubvolumeImages::find(const std::string& name) const {
  const auto found = points_.find(name);
  if (found != points_.end()) return &found->second;
  return Error(ErrorCode::kInternal, "there is no point " + base::in_quotes(name));
}

Result<const KeptSubvolumes::Image*> SubvolumeImages::find_image(const std::string& path,
                                                                 const std::string& name) const {
  const auto point = find(name);
  if (!point) return point.error();
  for (const KeptSubvolumes::Image& image : (*point)->images)
    if (image.now.front().path == path) return &image;
  return Error(ErrorCode::kNotFound, "what the point " + base::in_quotes(name) + " had of " +
                                         base::in_quotes(path) + " is not there any more");
}

Result<void> SubvolumeImages::remove(const std::string& /*path*/, const std::string& name) {
  const auto point = find(name);
  if (!point) return point.error();
  for (const JournalSnapshot& snapshot : (*point)->snapshots) {
    auto removed = delete_subvolume(images_.processes(), snapshot.path, time());
    if (removed) continue;
    return base::wrap(std::move(removed).error(),
                      "unable to remove the snapshot " + base::in_quotes(snapshot.path));
  }
  return {};
}

Result<void> SubvolumeImages::create(const std::string& /*path*/, const std::string& name) {
  const auto point = find(name);
  if (!point) return point.error();
  for (const JournalSnapshot& snapshot : (*point)->snapshots) {
    if (is_subvolume(snapshot.path)) continue;
    const base::ProcessOutcome outcome =
        images_.processes().run({.argv = snapshot_command(snapshot.source, snapshot.path),
                                 .environment = {},
                                 .deadline = time()});
    if (outcome.succeeded()) continue;
    return base::wrap(outcome.as_error("btrfs"),
                      "unable to snapshot " + base::in_quotes(snapshot.source));
  }
  return {};
}

Result<void> SubvolumeImages::check_apply(const std::string& path, const std::string& name) {
  const auto image = find_image(path, name);
  if (!image) return image.error();
  const image::Layer& kept = (*image)->kept.front();
  struct stat status {};
  if (::lstat(kept.path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return Error(ErrorCode::kNotFound, base::in_quotes(kept.path) + " is not there any more");
  }
  for (std::size_t i = 1; i < (*image)->now.size(); ++i) {
    if (auto same = check_below((*image)->now[i], (*image)->kept[i]); !same) return same;
  }
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return base::errno_error(errno, "unable to look at " + base::in_quotes(path));
  }
  if (!S_ISREG(status.st_mode) || status.st_nlink > 1) {
    return Error(ErrorCode::kRefused,
                 base::in_quotes(path) + (S_ISREG(status.st_mode) ? " has another name as well"
                                                                  : " is no file any more"))
        .with_hint("holdfast snapshot extract writes the point to other files");
  }
  // Whoever has it open would go on with what has lost its name.
  return check_closed(path);
}

Result<void> SubvolumeImages::make_clone(const KeptSubvolumes::Image& image,
                                         const std::string& clone) {
  const image::Layer& kept = image.kept.front();
  const std::string& path = image.now.front().path;
  const UniqueFd from(::open(kept.path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!from.valid())
    return base::errno_error(errno, "unable to open " + base::in_quotes(kept.path));
  const UniqueFd to(
      ::open(clone.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!to.valid()) return base::errno_error(errno, "unable to make " + base::in_quotes(clone));
  if (auto alike = make_alike(from.get(), to.get()); !alike) return alike;
  if (auto cloned = clone_file(from.get(), to.get()); !cloned) return cloned;
  if (kept.format == "qcow2") {
    // They tell of what changed along another way than the one that leads on from here.
    const auto info = images_.info(clone, kept.format, QemuImg::Use::kAlone, time());
    if (!info) return info.error();
    for (const std::string& bitmap : info->bitmaps) {
      if (auto removed = images_.remove_bitmap(clone, bitmap, time()); !removed) return removed;
    }
  }
  const UniqueFd present(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!present.valid() && errno != ENOENT) {
    return base::errno_error(errno, "unable to open " + base::in_quotes(path));
  }
  auto alike = copy_attributes(present.valid() ? present.get() : from.get(), to.get());
  if (!alike) return alike;
  return repository::flush_file(clone);
}

Result<void> SubvolumeImages::apply(const std::string& path, const std::string& name) {
  if (auto good = check_apply(path, name); !good) return good;
  const auto image = find_image(path, name);
  if (!image) return image.error();
  const std::string clone = path + kCloneMark;
  if (::unlink(clone.c_str()) != 0 && errno != ENOENT) {
    return base::errno_error(errno, "unable to remove " + base::in_quotes(clone));
  }
  auto made = make_clone(**image, clone);
  if (made && ::rename(clone.c_str(), path.c_str()) != 0) {
    made = base::errno_error(errno, "unable to rename " + base::in_quotes(clone));
  }
  if (!made) {
    (void)::unlink(clone.c_str());
    return base::wrap(std::move(made).error(), "unable to revert " + base::in_quotes(path));
  }
  return repository::flush_directory(base::directory_of(path));
}

}  // namespace holdfast::host::snapshot
