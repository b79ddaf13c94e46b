// SPDX-License-Identifier: MIT
#include "postgresql/backup_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/text.h"
#include "base/unique_fd.h"

namespace holdfast::postgresql {

namespace {

namespace fs = std::filesystem;
using base::Error;
using base::Result;

constexpr mode_t kFileMode = 0600;

// An entry of a directory survives a power cut once the directory itself has been flushed.
Result<void> flush_directory(const fs::path& path) {
  const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.valid() && ::fsync(fd.get()) == 0) return {};
  return base::errno_error(errno, "unable to flush '" + base::printable(path.string()) + "'");
}

Result<void> make_directory(const fs::path& path) {
  std::error_code problem;
  fs::create_directories(path, problem);
  if (!problem) fs::permissions(path, fs::perms::owner_all, problem);
  if (problem) {
    return base::errno_error(problem.value(),
                             "unable to make directory '" + base::printable(path.string()) + "'");
  }
  const fs::path parent = path.parent_path();
  if (auto flushed = flush_directory(parent); !flushed) return flushed;
  return flush_directory(parent.parent_path());
}

// Labels of windows long past are of no use; that they can't be removed is no reason to fail.
void remove_old(const fs::path& directory, std::size_t kept) {
  std::error_code problem;
  std::vector<std::pair<fs::file_time_type, fs::path>> windows;
  for (fs::directory_iterator entry(directory, problem), end; !problem && entry != end;
       entry.increment(problem)) {
    std::error_code unreadable;
    const bool is_window = fs::exists(entry->path() / "backup_label", unreadable);
    const auto written = fs::last_write_time(entry->path(), unreadable);
    if (is_window && !unreadable) windows.emplace_back(written, entry->path());
  }
  std::sort(windows.begin(), windows.end(), std::greater<>());
  for (std::size_t i = kept; i < windows.size(); ++i)
    fs::remove_all(windows[i].second, problem);
}

}  // namespace

std::string backup_directory(const std::string& state_directory, const std::string& window) {
  return (fs::path(state_directory) / window).string();
}

Result<void> write_backup_files(const std::string& state_directory, const std::string& window,
                                const BackupStop& stop, std::size_t kept) {
  if (!base::is_plain_name(window)) {
    return Error(base::ErrorCode::kInternal,
                 "unable to use '" + base::printable(window) + "' as the name of a directory");
  }
  const fs::path directory = backup_directory(state_directory, window);
  if (auto made = make_directory(directory); !made) return made;
  const auto write = [&](const char* name, const std::string& content) {
    return base::write_file((directory / name).string(), content, kFileMode, base::Durable::kYes);
  };
  if (auto written = write("backup_stop_lsn", stop.lsn + "\n"); !written) return written;
  if (auto written = write("backup_stop_wal_file", stop.wal_file + "\n"); !written) return written;
  if (!stop.tablespace_map.empty()) {
    if (auto written = write("tablespace_map", stop.tablespace_map); !written) return written;
  }
  // Last: a directory with a label in it is complete.
  if (auto written = write("backup_label", stop.label); !written) return written;
  remove_old(state_directory, kept);
  return {};
}

}  // namespace holdfast::postgresql
