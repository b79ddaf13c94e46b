// SPDX-License-Identifier: MIT
//
// What is done to a copy once it is written: it is brought to its disk, looked at by qemu-img, and
// added up. It goes on beside the copying of the next disk: the one waits for the processor most of
// the time, the other for the storage.
//
// Threads: used by one; the work is done on one of its own, with the priorities of the one that
// made it. Ownership: borrows the QemuImg. Errors: kCorrupt, kCancelled, and what the steps report.
#pragma once

#include <atomic>
#include <cstdint>
#include <future>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "image/checksum.h"
#include "image/qemu_img.h"

namespace holdfast::host::run {

struct WrittenCopy {
  std::string path;
  // The backing file that its header names; empty: it stands for itself.
  std::string reference;
  // Of the disk, in bytes: the copy has at least as many.
  std::uint64_t virtual_size = 0;
};

class Sealing {
 public:
  // Begins. `together` is asked to stop when it fails: what goes on beside it is in vain then.
  Sealing(image::QemuImg& images, WrittenCopy copy, base::Deadline deadline,
          std::stop_source together);
  Sealing(const Sealing&) = delete;
  Sealing& operator=(const Sealing&) = delete;
  // Waits for its end, which a request to stop brings about.
  ~Sealing() = default;

  // Of the sum, 0 to 100; from any thread.
  [[nodiscard]] double percent() const { return percent_; }
  [[nodiscard]] bool is_done_within(base::Millis time) const;
  // Waits; once.
  [[nodiscard]] base::Result<image::FileDigest> result() { return done_.get(); }

 private:
  [[nodiscard]] base::Result<image::FileDigest> seal(const std::stop_token& stop);

  image::QemuImg& images_;
  const WrittenCopy copy_;
  const base::Deadline deadline_;
  std::atomic<double> percent_ = 0;
  // Last: its end is waited for before the rest goes.
  std::future<base::Result<image::FileDigest>> done_;
};

}  // namespace holdfast::host::run
