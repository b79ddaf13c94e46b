// SPDX-License-Identifier: MIT
//
// The archive of a directory: tar(1), compressed by zstd(1), with everything that a filesystem
// knows of a file: owners by number, modes, times, extended attributes, ACLs, hard links, holes,
// devices.
//
// Names, links and devices in an archive are a container's own choice, and an archive that is read
// comes from a repository, which is not trusted either: it is unpacked into a new, empty directory
// alone, where GNU tar makes no link that leads out of it before all files are there (its manual:
// "Security rules of thumb"), and never with a path of the archive as it is.
//
// Threads: one at a time. Ownership: borrows the ProcessRunner. Errors: kNoSpace, kTimedOut,
// kCancelled, kCorrupt, kProcessFailed with the first line that the program said.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/process_runner.h"
#include "base/result.h"

namespace holdfast::host::container {

class Archiver {
 public:
  Archiver(base::ProcessRunner& processes, base::Deadline deadline, std::stop_token stop)
      : processes_(processes), deadline_(deadline), stop_(std::move(stop)) {}

  // Are the programs there? kNotFound with a hint.
  [[nodiscard]] base::Result<void> check_programs(const std::string& compression);

  // Makes the file `path`, on disk when it returns. One filesystem, without what is mounted in it.
  // `progress` gets the bytes written so far; `rate_limit` is in bytes per second, 0: none.
  [[nodiscard]] base::Result<void> write(const std::string& directory, const std::string& path,
                                         const std::string& compression, std::int64_t rate_limit,
                                         const std::function<void(std::uint64_t)>& progress);
  // Reads all of it; how many entries it has.
  [[nodiscard]] base::Result<std::uint64_t> check(const std::string& path,
                                                  const std::string& compression);
  // Into this directory, which is empty. `names`: these alone, and what is below them; empty: all.
  [[nodiscard]] base::Result<void> unpack(const std::string& path, const std::string& compression,
                                          const std::string& directory,
                                          const std::vector<std::string>& names);

 private:
  base::ProcessRunner& processes_;
  base::Deadline deadline_;
  std::stop_token stop_;
};

// "root.tar", "root.tar.zst".
[[nodiscard]] std::string archive_file(const std::string& compression);

}  // namespace holdfast::host::container
