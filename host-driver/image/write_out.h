// SPDX-License-Identifier: MIT
//
// Has a file written to its disk while another program still fills it, so that the flush at the end
// finds little left to do: the kernel alone would let half a minute or a tenth of the memory go by
// first. It flushes nothing: who needs the file to be on its disk asks for that, and is told there
// what could not be written.
//
// Threads: made and destroyed on one thread; a thread of its own does it, with the priorities of
// the one that made it.
#pragma once

#include <string>
#include <thread>

namespace holdfast::host::image {

class WriteOut {
 public:
  // The file need not be there yet. What is no regular file is left alone.
  explicit WriteOut(std::string path);
  WriteOut(const WriteOut&) = delete;
  WriteOut& operator=(const WriteOut&) = delete;
  // Ends it, once what it has just asked for is on its way.
  ~WriteOut() = default;

 private:
  std::jthread thread_;
};

}  // namespace holdfast::host::image
