// SPDX-License-Identifier: MIT
//
// SHA-256 of a file, by libcrypto: the one dependency of the host driver beside base's, taken
// because it uses the processor's SHA instructions, ten times faster than sha256sum(1) of Debian.
//
// Threads: any. Errors: kIo and the like from the file, kCancelled.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "image/progress.h"

namespace holdfast::host::image {

struct FileDigest {
  std::string sha256;  // 64 lower-case hexadecimal digits
  std::uint64_t bytes = 0;
};

// Refuses symbolic links and anything but a regular file.
[[nodiscard]] base::Result<FileDigest> digest_file(const std::string& path,
                                                   const std::stop_token& stop,
                                                   const Progress& progress = {});

}  // namespace holdfast::host::image
