// SPDX-License-Identifier: MIT
//
// A file whose room on the disk is made ahead, so that writing it when everybody waits allocates
// nothing: a new file that takes an old one's name is given its blocks at once (ext4's
// auto_da_alloc), and that takes longer than all the rest.
//
// What is left of the room behind the content are line ends; so it is for text that does not mind.
//
// Threads: one at a time. Its end touches no disk: who has no use for it says so by discard().
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast::core {

class ReservedFile {
 public:
  // Beside `path`, which stays as it is; under a name that base::discard_unfinished(path) knows.
  // The room is of use once that filesystem has been flushed.
  [[nodiscard]] base::Result<void> make(const std::string& path, std::size_t room, mode_t mode);
  // Puts `content` in the place of `path`; there is no room any more then. kTooLarge, and nothing
  // has been done, if it is longer than the room that there is.
  [[nodiscard]] base::Result<void> fill(const std::string& content);
  // Gives the room back, if there is any.
  void discard();

 private:
  std::string path_;
  std::string temporary_;
  base::UniqueFd fd_;
  std::size_t room_ = 0;
};

}  // namespace holdfast::core
