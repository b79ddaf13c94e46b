// SPDX-License-Identifier: MIT
//
// Puts files and directories into the root of a container, each in one step in the place of what is
// there, and all of them back if one cannot be had. No symbolic link is followed on the way, so
// that none leads out of the root: the processes of the container made what is there, and stand
// still meanwhile.
//
// Threads: one at a time. Ownership: owns descriptors alone.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast::host::container {

// "/etc//motd" -> "etc/motd"; kUsage for one that is empty or has "..".
[[nodiscard]] base::Result<std::string> path_in_root(const std::string& path);

class Exchange {
 public:
  // `tree` is the name of a directory that is made in the root, for root alone, with a name that
  // nothing has. What is to be put in place is copied there, under its number.
  [[nodiscard]] static base::Result<Exchange> in(const std::string& root, const std::string& tree);

  // The place of what gets this number, looked at and held. kRefused if the way to it is over a
  // link, kNotFound if there is no such way.
  [[nodiscard]] base::Result<void> aim(const std::string& path);
  // All of them, in turn; what was there is in the tree then, under the same number, and nothing is
  // if nothing was there. On failure all is as it was.
  [[nodiscard]] base::Result<void> exchange_all();

 private:
  struct Place {
    std::string path;
    std::string name;  // in the directory above it
    base::UniqueFd above;
    bool there = false;
  };

  Exchange(base::UniqueFd root, base::UniqueFd tree)
      : root_(std::move(root)), tree_(std::move(tree)) {}

  [[nodiscard]] base::Result<void> exchange(std::size_t number, bool back);

  base::UniqueFd root_;
  base::UniqueFd tree_;
  std::vector<Place> places_;
};

}  // namespace holdfast::host::container
