// SPDX-License-Identifier: MIT
#include "commit_log.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace holdfast::tools {

namespace {

using Record = std::array<std::uint64_t, 3>;

std::uint64_t nanoseconds(base::MonoTime time) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count());
}

}  // namespace

base::Result<CommitLog> CommitLog::create(const std::string& path) {
  base::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd.valid()) return base::errno_error(errno, "unable to create '" + path + "'");
  struct statfs filesystem {};
  if (::fstatfs(fd.get(), &filesystem) != 0) {
    return base::errno_error(errno, "unable to look at the filesystem of '" + path + "'");
  }
  if (filesystem.f_type != TMPFS_MAGIC) {
    return base::Error(base::ErrorCode::kRefused, "unable to log to '" + path + "': not on a tmpfs")
        .with_hint("give a file in /dev/shm: one that is frozen would stop the writer itself");
  }
  return CommitLog(std::move(fd));
}

base::Result<void> CommitLog::begin(std::uint64_t number, base::MonoTime now) {
  const Record record{number, nanoseconds(now), 0};
  if (::pwrite(fd_.get(), record.data(), sizeof record, static_cast<off_t>(size_)) !=
      static_cast<ssize_t>(sizeof record)) {
    return base::errno_error(errno, "unable to write the log");
  }
  size_ += sizeof record;
  begin_ = now;
  return {};
}

base::Result<void> CommitLog::acknowledge(base::MonoTime now) {
  const std::uint64_t word = nanoseconds(now);
  if (::pwrite(fd_.get(), &word, sizeof word, static_cast<off_t>(size_ - sizeof word)) !=
      static_cast<ssize_t>(sizeof word)) {
    return base::errno_error(errno, "unable to write the log");
  }
  acknowledged_.push_back(now);
  latencies_.push_back(now - begin_);
  return {};
}

Summary CommitLog::summary() const {
  Summary summary;
  summary.commits = latencies_.size();
  if (latencies_.empty()) return summary;
  auto sorted = latencies_;
  std::sort(sorted.begin(), sorted.end());
  summary.median = sorted[sorted.size() / 2];
  summary.p999 = sorted[sorted.size() - 1 - sorted.size() / 1000];
  for (std::size_t i = 1; i < acknowledged_.size(); ++i) {
    const std::chrono::nanoseconds pause = acknowledged_[i] - acknowledged_[i - 1];
    summary.longest = std::max(summary.longest, pause);
  }
  return summary;
}

}  // namespace holdfast::tools
