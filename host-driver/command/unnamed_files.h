// SPDX-License-Identifier: MIT
//
// Files that are written one after the other and get their names together: the disk is at work on
// one while the next is written.
//
// Threads: one at a time. Ownership: those that have not been named are removed with it. Errors:
// name the path.
#pragma once

#include <future>
#include <string>
#include <vector>

#include "command/fresh_files.h"
#include "command/partial_file.h"

namespace holdfast::host::command {

class UnnamedFiles {
 public:
  // It has all that it shall have.
  void add(PartialFile file);
  // Once all of them are on disk: names them. Those that were named before one could not be are
  // in `fresh`, and its.
  [[nodiscard]] base::Result<void> name_all(FreshFiles& fresh);

 private:
  struct One {
    PartialFile file;
    std::future<base::Result<void>> flushed;
  };
  std::vector<One> files_;
};

}  // namespace holdfast::host::command
