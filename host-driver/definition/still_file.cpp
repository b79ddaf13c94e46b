// SPDX-License-Identifier: MIT
#include "definition/still_file.h"

#include <sys/stat.h>

#include <cerrno>
#include <optional>
#include <thread>
#include <tuple>

#include "base/file.h"
#include "base/text.h"

namespace holdfast::host::definition {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

constexpr int kReadings = 20;
// Firmware writes a variable in several steps, which take it some milliseconds.
constexpr std::chrono::milliseconds kRest{50};

struct Reading {
  std::string content;
  struct stat status {};
};

Result<Reading> read_once(const std::string& path, std::size_t limit) {
  Reading reading;
  if (::stat(path.c_str(), &reading.status) != 0) {
    return base::errno_error(errno, "unable to find '" + base::printable(path) + "'");
  }
  if (!S_ISREG(reading.status.st_mode)) {
    return Error(ErrorCode::kRefused,
                 "unable to use '" + base::printable(path) + "': not a regular file");
  }
  auto content = base::read_file(path, limit);
  if (!content) return std::move(content).error();
  reading.content = std::move(*content);
  return reading;
}

// The clock of a file's times is coarse, so that times alone do not tell.
bool is_same(const Reading& one, const Reading& other) {
  const auto stamp = [](const struct stat& status) {
    return std::tuple(status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                      status.st_ctim.tv_sec, status.st_ctim.tv_nsec);
  };
  return stamp(one.status) == stamp(other.status) && one.content == other.content;
}

std::chrono::system_clock::time_point when(const timespec& time) {
  return std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(
          std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec)));
}

// Then the writer may be between two of its steps.
bool was_just_written(const Reading& reading) {
  return std::chrono::system_clock::now() - when(reading.status.st_mtim) < kRest;
}

}  // namespace

Result<StillFile> read_still_file(const std::string& path, std::size_t limit,
                                  const std::function<void()>& between) {
  auto last = read_once(path, limit);
  for (int count = 1; last && count < kReadings; ++count) {
    if (between) between();
    if (was_just_written(*last)) std::this_thread::sleep_for(kRest);
    auto again = read_once(path, limit);
    if (again && is_same(*last, *again)) {
      return StillFile{std::move(again->content), when(again->status.st_mtim)};
    }
    last = std::move(again);
  }
  if (!last) return std::move(last).error();
  return Error(ErrorCode::kBusy,
               "'" + base::printable(path) + "' changes faster than it can be read");
}

}  // namespace holdfast::host::definition
