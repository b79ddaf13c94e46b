// SPDX-License-Identifier: MIT
#include "repository/paths.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>

#include "base/text.h"
#include "base/unique_fd.h"

namespace holdfast::host::repository {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

Result<void> flush(const std::string& path, int flags) {
  const base::UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid() || ::fsync(fd.get()) != 0) {
    return base::errno_error(errno, "unable to flush " + base::in_quotes(path));
  }
  return {};
}

}  // namespace

Result<std::string> make_backup_id(base::WallTime time) {
  std::uint16_t number = 0;
  if (::getrandom(&number, sizeof number, 0) != static_cast<ssize_t>(sizeof number)) {
    return base::errno_error(errno, "unable to get random bytes");
  }
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  std::array<char, 32> stamp{};
  const std::size_t length = std::strftime(stamp.data(), stamp.size(), "%Y%m%dT%H%M%SZ", &utc);
  // The fraction of the second first, in 65536ths: names sort by time within a second as well.
  const auto fraction = std::chrono::duration_cast<std::chrono::microseconds>(
                            time - std::chrono::floor<std::chrono::seconds>(time))
                            .count() *
                        65536 / 1000000;
  std::array<char, 16> tail{};
  std::snprintf(tail.data(), tail.size(), "-%04x%04x", static_cast<unsigned>(fraction), number);
  return std::string(stamp.data(), length) + tail.data();
}

Result<std::string> make_tag() {
  std::uint32_t number = 0;
  if (::getrandom(&number, sizeof number, 0) != static_cast<ssize_t>(sizeof number)) {
    return base::errno_error(errno, "unable to get random bytes");
  }
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%08x", number);
  return std::string(text.data());
}

bool is_backup_id(std::string_view name) {
  constexpr std::string_view kShape = "dddddddd'T'dddddd'Z'-xxxxxxxx";
  std::size_t at = 0;
  for (std::size_t i = 0; i < kShape.size(); ++i) {
    if (kShape[i] == '\'') continue;
    if (at == name.size()) return false;
    const char c = name[at++];
    const bool digit = c >= '0' && c <= '9';
    const bool right = kShape[i] == 'd'   ? digit
                       : kShape[i] == 'x' ? digit || (c >= 'a' && c <= 'f')
                                          : c == kShape[i];
    if (!right) return false;
  }
  return at == name.size();
}

Result<void> check_vm_name(std::string_view name) {
  if (base::is_plain_name(name)) return {};
  return Error(ErrorCode::kUsage, base::in_quotes(name) + " is not a name for a virtual machine")
      .with_hint("1 to 64 letters, digits, '.', '_', '-'; the first a letter or a digit");
}

Result<Kind> kind_of(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return Kind::kMissing;
    return base::errno_error(errno, "unable to look at " + base::in_quotes(path));
  }
  if (S_ISDIR(status.st_mode)) return Kind::kDirectory;
  return S_ISREG(status.st_mode) ? Kind::kFile : Kind::kOther;
}

Result<void> ensure_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0) return {};
  if (errno != EEXIST)
    return base::errno_error(errno, "unable to make the directory " + base::in_quotes(path));
  const auto kind = kind_of(path);
  if (!kind) return kind.error();
  if (*kind == Kind::kDirectory) return {};
  return Error(ErrorCode::kRefused, "unable to use " + base::in_quotes(path) + ": not a directory");
}

Result<void> ensure_directories(const std::string& path) {
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    const std::string parent = path.substr(0, slash);
    // Parents may be links: /var/lib on another disk is the administrator's choice.
    if (::mkdir(parent.c_str(), 0700) != 0 && errno != EEXIST) {
      return base::errno_error(errno, "unable to make the directory " + base::in_quotes(parent));
    }
  }
  return ensure_directory(path);
}

Result<void> flush_directory(const std::string& path) {
  return flush(path, O_RDONLY | O_DIRECTORY);
}

Result<void> flush_file(const std::string& path) {
  return flush(path, O_RDONLY);
}

Result<std::uint64_t> free_space(const std::string& path) {
  struct statvfs status {};
  if (::statvfs(path.c_str(), &status) != 0) {
    return base::errno_error(errno, "unable to ask for the free space of " + base::in_quotes(path));
  }
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

}  // namespace holdfast::host::repository
