// SPDX-License-Identifier: MIT
//
// The lines that a driver sends, read by a thread of its own: so that the end of the input is seen
// while a call to libvirt does not come back. With the input this process ends, wherever it is; but
// if a line says that it must be done, what was sent is done first, within a bound.
//
// Threads: next() on the main thread, the reader inside, which lives as long as the process: so
// must this. Ownership: borrows the descriptor.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

namespace holdfast::host::libvirt {

class Requests {
 public:
  // `must_be_done` is asked about each line, on the reader's thread.
  Requests(int fd, std::function<bool(const std::string&)> must_be_done);
  Requests(const Requests&) = delete;
  Requests& operator=(const Requests&) = delete;

  // The next line, without its '\n'; nothing once the input has ended and what must be done is.
  [[nodiscard]] std::optional<std::string> next();

 private:
  void read();
  void take(std::string line);
  void end();

  int fd_;
  std::function<bool(const std::string&)> must_be_done_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> lines_;
  bool ended_ = false;
  // How many lines were taken, and the number of the last one that must be done, counted from one.
  std::size_t taken_ = 0;
  std::size_t owed_ = 0;
};

}  // namespace holdfast::host::libvirt
