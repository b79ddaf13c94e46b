// SPDX-License-Identifier: MIT
#include "core/reserved_file.h"

#include <fcntl.h>
#include <stdlib.h>  // mkostemp: glibc, not std
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/file.h"
#include "base/text.h"

namespace holdfast::core {

using base::errno_error;
using base::Error;
using base::ErrorCode;
using base::in_quotes;
using base::Result;

Result<void> ReservedFile::make(const std::string& path, std::size_t room, mode_t mode) {
  discard();
  std::string temporary = path + ".XXXXXX";
  fd_.reset(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd_.valid()) return errno_error(errno, "unable to create a file beside " + in_quotes(path));
  path_ = path;
  temporary_ = std::move(temporary);
  auto made = base::write_all(fd_.get(), std::string(room, '\n'), temporary_);
  if (made && ::fchmod(fd_.get(), mode) != 0) {
    // uncovered(1): the file was made a moment ago
    made = errno_error(errno, "unable to set the mode of " + in_quotes(temporary_));
  }
  if (!made) {
    // uncovered(1): needs a disk that is full
    discard();
    return made;
  }
  room_ = room;
  return {};
}

Result<void> ReservedFile::fill(const std::string& content) {
  if (content.size() > room_) {
    return Error(ErrorCode::kTooLarge, "there is no room for " + std::to_string(content.size()) +
                                           " bytes of " + in_quotes(path_));
  }
  // uncovered(2): the file was made by make()
  if (::lseek(fd_.get(), 0, SEEK_SET) != 0) {
    return errno_error(errno, "unable to write " + in_quotes(temporary_));
  }
  if (auto written = base::write_all(fd_.get(), content, temporary_); !written) return written;
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    return errno_error(errno, "unable to write " + in_quotes(path_));
  }
  room_ = 0;
  temporary_.clear();
  fd_.reset();
  return {};
}

void ReservedFile::discard() {
  if (!temporary_.empty()) (void)::unlink(temporary_.c_str());
  temporary_.clear();
  fd_.reset();
  room_ = 0;
}

}  // namespace holdfast::core
