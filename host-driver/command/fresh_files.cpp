// SPDX-License-Identifier: MIT
#include "command/fresh_files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "repository/paths.h"

namespace holdfast::host::command {

using base::Result;

namespace {

bool is_the_same(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino &&
         one.st_ctim.tv_sec == other.st_ctim.tv_sec && one.st_ctim.tv_nsec == other.st_ctim.tv_nsec;
}

}  // namespace

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
