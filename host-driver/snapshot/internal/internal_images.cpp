// SPDX-License-Identifier: MIT
#include "snapshot/internal/internal_images.h"

#include <sys/stat.h>

#include <cerrno>

#include "base/text.h"
#include "snapshot/names.h"

namespace holdfast::host::snapshot {

using base::Error;
using base::ErrorCode;
using base::Result;
using image::QemuImg;

namespace {

// With a hint for what qemu-img says of an image that is in use.
Error about(const std::string& path, const std::string& doing, Error cause) {
  const ErrorCode code = cause.code();
  return Error(code, "unable to " + doing + " " + base::in_quotes(path))
      .with_hint("does a program have it open, the machine perhaps, by another monitor socket?")
      .caused_by(std::move(cause));
}

}  // namespace

InternalImages::InternalImages(QemuImg& images, base::Millis patience, qmp::Client& monitor,
                               const qmp::BlockGraph& graph)
    : images_(images), patience_(patience), monitor_(&monitor) {
  for (const qmp::Disk& disk : graph.disks)
    nodes_.emplace(disk.chain.front().path, disk.node);
}

Result<void> InternalImages::remove(const std::string& path, const std::string& name) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 && errno == ENOENT) return {};
  const auto info = images_.info(path, "qcow2", QemuImg::Use::kShared, time());
  if (!info) return about(path, "look at the snapshots in", info.error());
  if (info->snapshot(name) == nullptr) return {};
  const auto node = nodes_.find(path);
  if (monitor_ != nullptr && node != nodes_.end()) {
    auto done = monitor_->execute("blockdev-snapshot-delete-internal-sync",
                                  {{"device", node->second}, {"name", name}}, time());
    if (!done)
      return base::wrap(std::move(done).error(),
                        "unable to remove a snapshot from " + base::in_quotes(path));
    return {};
  }
  auto done = images_.change_snapshot(QemuImg::SnapshotChange::kDelete, path, name, time());
  if (!done) return about(path, "remove a snapshot from", std::move(done).error());
  return {};
}

Result<void> InternalImages::check_apply(const std::string& path, const std::string& name) {
  const auto info = images_.info(path, "qcow2", QemuImg::Use::kAlone, time());
  if (!info) return about(path, "revert", info.error());
  if (info->snapshot(name) == nullptr) {
    return Error(ErrorCode::kNotFound, "the image " + base::in_quotes(path) + " has no snapshot " +
                                           base::in_quotes(name) + " any more");
  }
  for (const std::string& bitmap : info->bitmaps) {
    if (bitmap.starts_with(kNodePrefix)) continue;
    return Error(ErrorCode::kRefused, "the image " + base::in_quotes(path) +
                                          " has the dirty bitmap " + base::in_quotes(bitmap) +
                                          ", which is not ours and would be untrue afterwards")
        .with_hint("qemu-img bitmap --remove FILE NAME, if nobody needs it");
  }
  return {};
}

Result<void> InternalImages::create(const std::string& path, const std::string& name) {
  auto done = images_.change_snapshot(QemuImg::SnapshotChange::kCreate, path, name, time());
  if (!done) return about(path, "make a snapshot in", std::move(done).error());
  return {};
}

Result<void> InternalImages::apply(const std::string& path, const std::string& name) {
  if (auto good = check_apply(path, name); !good) return good;
  const auto info = images_.info(path, "qcow2", QemuImg::Use::kAlone, time());
  if (!info) return about(path, "revert", info.error());
  for (const std::string& bitmap : info->bitmaps) {
    auto removed = images_.remove_bitmap(path, bitmap, time());
    if (!removed) return about(path, "remove a dirty bitmap from", std::move(removed).error());
  }
  auto done = images_.change_snapshot(QemuImg::SnapshotChange::kApply, path, name, time());
  if (!done) return about(path, "revert", std::move(done).error());
  return {};
}

}  // namespace holdfast::host::snapshot
