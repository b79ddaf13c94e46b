// SPDX-License-Identifier: MIT
//
// A look at the first bytes of a qcow2 file before any program opens it: an image in a repository
// may be hostile, and its header can name other files (a backing file, an external data file) that
// whoever opens it would read in its stead (QEMU: docs/interop/qcow2.txt).
//
// Threads: any. Errors: kRefused for a link, for what is no regular file, and for an image that
// names another file than it should; kCorrupt for what is no qcow2 image.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace holdfast::host::image {

// As qcow2 has them; zlib is that of every image that does not say another.
enum class CompressionType { kZlib, kZstd };

struct Qcow2Header {
  std::uint64_t virtual_size = 0;
  // As they stand there, of no use as a path or format before they are compared; empty: none.
  std::string backing_file;
  std::string backing_format;
  // Of the clusters that are compressed, if there are any.
  CompressionType compression = CompressionType::kZlib;
};

// Whatever backing file it names. An external data file is refused.
[[nodiscard]] base::Result<Qcow2Header> read_header(const std::string& path);
// Of an image that stands for itself: it names no file at all.
[[nodiscard]] base::Result<Qcow2Header> read_standalone_header(const std::string& path);
// Of an increment: its backing file is exactly `reference`, and qcow2.
[[nodiscard]] base::Result<Qcow2Header> read_increment_header(const std::string& path,
                                                              const std::string& reference);

}  // namespace holdfast::host::image
