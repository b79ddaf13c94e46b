// SPDX-License-Identifier: MIT
//
// A directory of this process' own, mode 0700, below one that others use too. It goes away with the
// object, and all that is in it; what a killed process has left of one, with the next one made: a
// lock on each says whether somebody is alive in it, and the kernel lets go of that.
//
// Threads: any. Ownership: owns the directory. Errors: kBusy, those of the system calls.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast::host::wire {

class PrivateDirectory {
 public:
  // BELOW/PREFIX and six letters. The dead of this prefix that are there are removed before.
  [[nodiscard]] static base::Result<PrivateDirectory> make(const std::string& below,
                                                           const std::string& prefix);
  PrivateDirectory(PrivateDirectory&& other) noexcept;
  PrivateDirectory& operator=(PrivateDirectory&&) = delete;
  PrivateDirectory(const PrivateDirectory&) = delete;
  PrivateDirectory& operator=(const PrivateDirectory&) = delete;
  ~PrivateDirectory();

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  PrivateDirectory(std::string path, base::UniqueFd lock);

  std::string path_;
  base::UniqueFd lock_;
};

}  // namespace holdfast::host::wire
