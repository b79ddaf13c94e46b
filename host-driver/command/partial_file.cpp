// SPDX-License-Identifier: MIT
#include "command/partial_file.h"

#include <fcntl.h>
#include <stdio.h>  // renameat2: glibc, not std
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/file.h"
#include "base/text.h"

namespace holdfast::host::command {

using base::Result;

Result<PartialFile> PartialFile::of(const std::string& target) {
  std::string path = path_of(target);
  base::UniqueFd fd(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.valid()) {
    return base::errno_error(errno, "unable to make '" + base::printable(path) + "'");
  }
  return PartialFile(target, std::move(path), std::move(fd));
}

PartialFile::PartialFile(const std::string& target, std::string path, base::UniqueFd fd)
    : target_(target), path_(std::move(path)), fd_(std::move(fd)) {}

PartialFile::PartialFile(PartialFile&& other) noexcept
    : target_(std::move(other.target_)),
      path_(std::exchange(other.path_, {})),
      fd_(std::move(other.fd_)) {}

PartialFile::~PartialFile() {
  if (!path_.empty()) (void)::unlink(path_.c_str());
}

Result<void> PartialFile::write(std::string_view content) {
  return base::write_all(fd_.get(), content, path_);
}

Result<void> PartialFile::keep() {
  if (::fsync(fd_.get()) != 0) {
    return base::errno_error(errno, "unable to flush '" + base::printable(path_) + "'");
  }
  if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target_.c_str(), RENAME_NOREPLACE) != 0) {
    return base::errno_error(errno, "unable to name '" + base::printable(target_) + "'");
  }
  path_.clear();
  return {};
}

}  // namespace holdfast::host::command
