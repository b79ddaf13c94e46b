// SPDX-License-Identifier: MIT
//
// Files that a command makes in a directory, all of them or none: unless it comes to its end, what
// it has made is taken away again, the directory and those above it included as far as it has made
// them too. What stood there before, or was put there by somebody else meanwhile, stays.
//
// Threads: one at a time. Errors: name the path.
#pragma once

#include <sys/stat.h>

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace holdfast::host::command {

// kExists unless there is nothing at this path, nor what another restore is at work on.
[[nodiscard]] base::Result<void> require_absent(const std::string& path);

class FreshFiles {
 public:
  // Makes the directory, an absolute path, if need be.
  [[nodiscard]] static base::Result<FreshFiles> in(const std::string& directory);
  FreshFiles(FreshFiles&& other) noexcept = default;
  FreshFiles& operator=(FreshFiles&&) = delete;
  ~FreshFiles();

  // A file that has just been made there.
  [[nodiscard]] base::Result<void> add(const std::string& path);
  // All is done: everything stays.
  void keep();

 private:
  struct File {
    std::string path;
    // That it is still the same one, and untouched: the number alone is soon given to another.
    struct stat status {};
  };

  FreshFiles() = default;

  // The topmost first.
  std::vector<std::string> directories_;
  std::vector<File> files_;
};

}  // namespace holdfast::host::command
