// SPDX-License-Identifier: MIT
#include "base/file.h"

#include <fcntl.h>
#include <stdlib.h>  // mkostemp: glibc, not std
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "base/scope_guard.h"
#include "base/text.h"
#include "base/unique_fd.h"

namespace holdfast::base {

namespace {

// What mkostemp(3) makes a name of.
constexpr std::string_view kTemplate = ".XXXXXX";

}  // namespace

Result<void> write_all(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t count = ::write(fd, content.data(), content.size());
    if (count < 0) {
      // uncovered(2): no signal is handled in unit tests, and no disk fills up
      if (errno == EINTR) continue;
      return errno_error(errno, "unable to write " + in_quotes(path));
    }
    content.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

Result<std::string> read_file(const std::string& path, std::size_t limit) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return errno_error(errno, "unable to open " + in_quotes(path));
  std::string content;
  std::array<char, 16384> buffer{};
  for (;;) {
    const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
    if (count < 0) {
      if (errno == EINTR) continue;  // uncovered: no signal is handled in unit tests
      return errno_error(errno, "unable to read " + in_quotes(path));
    }
    if (count == 0) return content;
    if (content.size() + static_cast<std::size_t>(count) > limit) {
      return Error(ErrorCode::kTooLarge,
                   "unable to read " + in_quotes(path) + ": larger than " + format_bytes(limit));
    }
    content.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

Result<void> write_file(const std::string& path, std::string_view content, mode_t mode,
                        Durable durable) {
  std::string temporary = path + std::string(kTemplate);
  const UniqueFd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd.valid()) return errno_error(errno, "unable to create a file beside " + in_quotes(path));
  ScopeGuard remove([&] { (void)::unlink(temporary.c_str()); });
  if (auto written = write_all(fd.get(), content, temporary); !written) return written;
  if (::fchmod(fd.get(), mode) != 0) {
    // uncovered(1): the file was made a moment ago
    return errno_error(errno, "unable to set the mode of " + in_quotes(temporary));
  }
  if (durable == Durable::kYes && ::fsync(fd.get()) != 0) {
    // uncovered(1): needs a disk that fails
    return errno_error(errno, "unable to flush " + in_quotes(temporary));
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    return errno_error(errno, "unable to write " + in_quotes(path));
  }
  remove.dismiss();
  if (durable == Durable::kYes) {
    const std::string directory = directory_of(path);
    const UniqueFd directory_fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory_fd.valid() || ::fsync(directory_fd.get()) != 0) {
      // uncovered(1): needs a disk that fails
      return errno_error(errno, "unable to flush " + in_quotes(directory));
    }
  }
  return {};
}

Result<void> remove_file(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return errno_error(errno, "unable to remove " + in_quotes(path));
}

void discard_unfinished(const std::string& path) {
  const std::string name = std::filesystem::path(path).filename().string();
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory_of(path), ignored)) {
    const std::string found = entry.path().filename().string();
    if (found.size() != name.size() + kTemplate.size() || !found.starts_with(name + ".")) continue;
    const std::string_view random = std::string_view(found).substr(name.size() + 1);
    if (std::all_of(random.begin(), random.end(),
                    [](unsigned char c) { return std::isalnum(c); })) {
      (void)::unlink(entry.path().c_str());
    }
  }
}

Result<void> require_private(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    return errno_error(errno, "unable to open " + in_quotes(path));
  }
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return Error(ErrorCode::kPermission, "unable to use " + in_quotes(path) +
                                             ": others than its owner may read or write it")
        .with_hint("it holds a password: chmod 600 " + printable(path));
  }
  if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
    // uncovered(3): needs a file of another user, and unit tests need no root
    return Error(ErrorCode::kPermission, "unable to use " + in_quotes(path) +
                                             ": it belongs to user " +
                                             std::to_string(status.st_uid))
        .with_hint("it holds a password: it must belong to root or to the user of the service");
  }
  return {};
}

}  // namespace holdfast::base
