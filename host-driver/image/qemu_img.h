// SPDX-License-Identifier: MIT
//
// qemu-img as a process: an argument vector, a deadline, formats always given. Paths that could be
// taken for options or protocols never get there: they are absolute.
//
// Threads: as the ProcessRunner. Ownership: borrows it. Errors: kProcessFailed with the first line
// that qemu-img said, kNotFound if it is not installed, kTimedOut, kCancelled, kCorrupt from
// check().
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

#include "base/process_runner.h"

namespace holdfast::host::image {

// Percent done, 0 to 100.
using Progress = std::function<void(double)>;

class QemuImg {
 public:
  QemuImg(base::ProcessRunner& processes, std::string program)
      : processes_(processes), program_(std::move(program)) {}

  // "7.2.22"
  [[nodiscard]] base::Result<std::string> version(base::Deadline deadline);

  // What convert() reads and writes, in bytes per second; 0: as fast as it goes.
  void limit_rate(std::int64_t bytes) { rate_limit_ = bytes; }

  // An empty qcow2 image that stands for itself.
  [[nodiscard]] base::Result<void> create(const std::string& path, std::uint64_t virtual_size,
                                          base::Deadline deadline);

  // An empty qcow2 overlay. The backing file is named in the header and not opened: the running
  // machine holds its lock.
  [[nodiscard]] base::Result<void> create_overlay(const std::string& path,
                                                  const std::string& backing_path,
                                                  const std::string& backing_format,
                                                  std::uint64_t virtual_size,
                                                  base::Deadline deadline);

  // `source` as source_of() says it. Overwrites `target`.
  [[nodiscard]] base::Result<void> convert(const std::string& source, const std::string& target,
                                           const std::string& target_format,
                                           base::Deadline deadline, const std::stop_token& stop,
                                           const Progress& progress);

  // Has nothing ever been written to this qcow2 overlay? Its backing file is left out of account.
  [[nodiscard]] base::Result<bool> is_untouched(const std::string& path, base::Deadline deadline);

  // Is this qcow2 image consistent in itself, whatever stands below it? kCorrupt if not.
  [[nodiscard]] base::Result<void> check(const std::string& path, base::Deadline deadline,
                                         const std::stop_token& stop);

 private:
  [[nodiscard]] base::Result<std::string> run(base::ProcessSpec spec);

  base::ProcessRunner& processes_;
  std::string program_;
  std::int64_t rate_limit_ = 0;
};

// The percentage in a piece of `qemu-img convert -p` output: "    (12.34/100%)\r"; the last one
// counts. Negative if there is none.
[[nodiscard]] double percent_in(std::string_view piece);

}  // namespace holdfast::host::image
