// SPDX-License-Identifier: MIT
#include "snapshot/btrfs/sending.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "base/text.h"
#include "base/uninterrupted.h"
#include "base/unique_fd.h"
#include "snapshot/btrfs/send.h"
#include "snapshot/btrfs/subvolume.h"
#include "snapshot/names.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;
using base::UniqueFd;

namespace {

std::string name_of(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

Result<void> make_private_directory(const std::string& path) {
  struct stat status {};
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return base::errno_error(errno, "unable to make " + base::in_quotes(path));
  }
  // Where somebody else put a link, what is deleted below it would be theirs.
  if (::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return {};
  return Error(ErrorCode::kRefused, base::in_quotes(path) + " is no directory");
}

}  // namespace

std::string Sending::existing() const {
  std::string directory = base::directory_of(base::directory_of(directory_));
  struct stat status {};
  while (directory != "/" && ::stat(directory.c_str(), &status) != 0)
    directory = base::directory_of(directory);
  return directory;
}

Result<void> Sending::check() const {
  const std::string directory = existing();
  if (is_on_btrfs(directory)) return {};
  return Error(ErrorCode::kUnsupported,
               "unable to send snapshots: " + base::in_quotes(directory) + " is not on btrfs")
      .with_hint("btrfs-send wants the repository there as well; without it the images are copied");
}

Result<void> Sending::check_apart(const std::string& image) const {
  struct stat ours {};
  struct stat theirs {};
  // Each subvolume is a device of its own.
  if (::stat(existing().c_str(), &ours) != 0 || ::stat(image.c_str(), &theirs) != 0 ||
      ours.st_dev != theirs.st_dev) {
    return {};
  }
  return Error(ErrorCode::kUnsupported,
               base::in_quotes(image) + " and the repository are in the same subvolume")
      .with_hint("give the images one of their own: btrfs subvolume create");
}

Result<void> Sending::make_directory() const {
  if (auto made = make_private_directory(base::directory_of(directory_)); !made) return made;
  return make_private_directory(directory_);
}

std::string Sending::place_of(const std::string& snapshot) const {
  return directory_ + "/" + name_of(snapshot);
}

Result<void> Sending::sweep(const SentRecord& record, Deadline deadline) {
  std::error_code problem;
  std::filesystem::directory_iterator entries(directory_, problem);
  for (; !problem && entries != std::filesystem::directory_iterator(); entries.increment(problem)) {
    const std::string path = entries->path().string();
    if (!name_of(path).starts_with("." + std::string(kNodePrefix)) || record.keeps(path)) continue;
    auto deleted = delete_subvolume(processes_, path, deadline);
    if (!deleted) {
      return base::wrap(std::move(deleted).error(), "unable to delete " + base::in_quotes(path));
    }
  }
  if (!problem) return {};
  return base::errno_error(problem.value(), "unable to list " + base::in_quotes(directory_));
}

std::string Sending::parent_of(const JournalSnapshot& snapshot, const SentRecord& record) const {
  const Sent* const former = record.find_source(snapshot.source);
  const bool usable = former != nullptr && former->received == place_of(former->snapshot) &&
                      is_subvolume(former->snapshot) && is_subvolume(former->received);
  return usable ? former->snapshot : std::string();
}

Result<void> Sending::send(const std::vector<JournalSnapshot>& snapshots, Deadline deadline,
                           const std::stop_token& stop) {
  auto record = file_.load();
  if (!record) return std::move(record).error();
  if (auto made = make_directory(); !made) return made;
  if (auto swept = sweep(*record, deadline); !swept) return swept;
  for (const JournalSnapshot& snapshot : snapshots) {
    const SendSpec spec{snapshot.path, parent_of(snapshot, *record), directory_};
    auto sent = send_snapshot(processes_, spec, deadline, stop);
    if (!sent) {
      return base::wrap(std::move(sent).error(),
                        "unable to send " + base::in_quotes(snapshot.path));
    }
    record->replace({snapshot.source, snapshot.path, place_of(snapshot.path)});
    if (auto saved = file_.save(*record); !saved) return saved;
  }
  // Of a disk that the machine has no more.
  const auto is_current = [&](const Sent& sent) {
    return std::any_of(snapshots.begin(), snapshots.end(), [&](const JournalSnapshot& snapshot) {
      return snapshot.path == sent.snapshot;
    });
  };
  std::erase_if(record->latest, [&](const Sent& sent) {
    if (is_current(sent)) return false;
    record->superseded.insert(record->superseded.end(), {sent.snapshot, sent.received});
    return true;
  });
  if (auto saved = file_.save(*record); !saved) return saved;
  // What cannot be deleted now will be by the next run, which then says why it cannot.
  (void)tidy(deadline);
  return {};
}

Result<void> Sending::clone(const JournalSnapshot& snapshot, const std::string& image,
                            const std::string& target) const {
  const std::string path = place_of(snapshot.path) + image.substr(snapshot.source.size());
  const UniqueFd from(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!from.valid()) return base::errno_error(errno, "unable to open " + base::in_quotes(path));
  const UniqueFd to(
      ::open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!to.valid()) return base::errno_error(errno, "unable to make " + base::in_quotes(target));
  const int done = base::uninterrupted([&] { return ::ioctl(to.get(), FICLONE, from.get()); });
  if (done == 0) return {};
  return base::errno_error(
      errno, "unable to clone " + base::in_quotes(path) + " as " + base::in_quotes(target));
}

Result<bool> Sending::tidy(Deadline deadline) {
  auto record = file_.load();
  if (!record) return std::move(record).error();
  if (!wanted()) {
    for (const Sent& sent : record->latest)
      record->superseded.insert(record->superseded.end(), {sent.snapshot, sent.received});
    record->latest.clear();
  }
  if (record->superseded.empty()) return false;
  for (const std::string& path : record->superseded) {
    auto deleted = delete_subvolume(processes_, path, deadline);
    if (!deleted) {
      return base::wrap(std::move(deleted).error(), "unable to delete " + base::in_quotes(path));
    }
  }
  record->superseded.clear();
  if (auto saved = file_.save(*record); !saved) return std::move(saved).error();
  return true;
}

}  // namespace holdfast::host::snapshot
