// SPDX-License-Identifier: MIT
#include "image/write_out.h"

#include <fcntl.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "base/unique_fd.h"

namespace holdfast::host::image {

namespace {

// At the speed of a fast disk some hundred megabytes.
constexpr std::chrono::milliseconds kPause{100};

void begin_writing(const std::string& path) {
  const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  // What fails of it is found by the flush, to which the kernel tells it (errseq_t).
  if (fd.valid()) (void)::sync_file_range(fd.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
}

}  // namespace

WriteOut::WriteOut(std::string path)
    : thread_([path = std::move(path)](const std::stop_token& stop) {
        std::mutex mutex;
        std::condition_variable_any asked;
        std::unique_lock lock(mutex);
        while (!asked.wait_for(lock, stop, kPause, [] { return false; }) && !stop.stop_requested())
          begin_writing(path);
      }) {}

}  // namespace holdfast::host::image
