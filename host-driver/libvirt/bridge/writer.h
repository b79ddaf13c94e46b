// SPDX-License-Identifier: MIT
//
// Lines to the driver. If it is gone, there is nobody left to work for.
//
// Threads: any.
#pragma once

#include <mutex>
#include <string>

namespace holdfast::host::libvirt {

class Writer {
 public:
  explicit Writer(int fd) : fd_(fd) {}

  // With its '\n'. An error is no concern of ours: the end of the input says the same.
  void line(const std::string& text);

 private:
  int fd_;
  std::mutex mutex_;
};

}  // namespace holdfast::host::libvirt
