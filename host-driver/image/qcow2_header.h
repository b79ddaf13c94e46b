// SPDX-License-Identifier: MIT
//
// A look at the first bytes of a qcow2 file before any program opens it: an image in a repository
// may be hostile, and its header can name other files (a backing file, an external data file) that
// whoever opens it would read in its stead (QEMU: docs/interop/qcow2.txt).
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace holdfast::host::image {

struct Qcow2Header {
  std::uint64_t virtual_size = 0;
};

// Of a regular file that stands for itself: kRefused if it is a link, or names another file;
// kCorrupt if it is no qcow2 image.
[[nodiscard]] base::Result<Qcow2Header> read_standalone_header(const std::string& path);

}  // namespace holdfast::host::image
