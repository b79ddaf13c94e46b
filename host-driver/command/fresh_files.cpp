// SPDX-License-Identifier: MIT
#include "command/fresh_files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "command/partial_file.h"
#include "repository/paths.h"

namespace holdfast::host::command {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

bool is_the_same(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino &&
         one.st_ctim.tv_sec == other.st_ctim.tv_sec && one.st_ctim.tv_nsec == other.st_ctim.tv_nsec;
}

Result<bool> is_missing(const std::string& path) {
  const auto kind = repository::kind_of(path);
  if (!kind) return kind.error();
  return *kind == repository::Kind::kMissing;
}

}  // namespace

Result<void> require_absent(const std::string& path) {
  const auto missing = is_missing(path);
  if (!missing) return missing.error();
  if (!*missing) {
    return Error(ErrorCode::kExists,
                 "unable to restore to '" + base::printable(path) + "': it exists")
        .with_hint(
            "nothing is ever overwritten, and each machine wants a directory of its own: choose "
            "another one for --to, or move it away");
  }
  const std::string partial = PartialFile::path_of(path);
  const auto untouched = is_missing(partial);
  if (!untouched) return untouched.error();
  if (*untouched) return {};
  return Error(ErrorCode::kExists, "unable to restore to '" + base::printable(path) +
                                       "': there is '" + base::printable(partial) + "'")
      .with_hint(
          "another restore is at work there, or was killed: then remove it; or choose another "
          "directory for --to");
}

Result<FreshFiles> FreshFiles::in(const std::string& directory) {
  FreshFiles fresh;
  for (std::size_t slash = 0; slash != std::string::npos;) {
    slash = directory.find('/', slash + 1);
    const std::string path = directory.substr(0, slash);
    if (::mkdir(path.c_str(), 0700) == 0) {
      fresh.directories_.push_back(path);
    } else if (errno != EEXIST) {
      return base::errno_error(errno,
                               "unable to make the directory '" + base::printable(path) + "'");
    }
  }
  // It may have been there already, and be something else.
  if (auto made = repository::ensure_directory(directory); !made) return std::move(made).error();
  return fresh;
}

Result<void> FreshFiles::add(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    return base::errno_error(errno, "unable to look at '" + base::printable(path) + "'");
  }
  files_.push_back({path, status});
  return {};
}

void FreshFiles::keep() {
  files_.clear();
  directories_.clear();
}

FreshFiles::~FreshFiles() {
  for (const File& file : files_) {
    struct stat status {};
    const bool there = ::lstat(file.path.c_str(), &status) == 0;
    if (there && is_the_same(status, file.status)) (void)::unlink(file.path.c_str());
  }
  // One in which somebody else has put something is not empty, and stays.
  for (auto path = directories_.rbegin(); path != directories_.rend(); ++path)
    if (::rmdir(path->c_str()) != 0) break;
}

}  // namespace holdfast::host::command
