// SPDX-License-Identifier: MIT
//
// Whole small files: read with a bound, written so that a reader sees the old or the new one.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace holdfast::base {

// The whole file; kTooLarge beyond `limit` bytes. Follows symbolic links.
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t limit);

// Is the new content to survive a power cut before the call returns (fsync of file and directory)?
// kNo is for /run, and for writes that a filesystem freeze makes durable anyway: FIFREEZE syncs the
// filesystem before it returns (fs/super.c, freeze_super).
enum class Durable { kNo, kYes };

// Writes a temporary file beside `path` and renames it. On failure the old file is untouched and
// no temporary file is left.
[[nodiscard]] Result<void> write_file(const std::string& path, std::string_view content,
                                      mode_t mode, Durable durable);

// All of it to an open file, whatever write(2) takes at once; `path` is for the error.
[[nodiscard]] Result<void> write_all(int fd, std::string_view content, const std::string& path);

// No error if there is none.
[[nodiscard]] Result<void> remove_file(const std::string& path);

// Removes the temporary files of write_file() calls for `path` that were killed, and tries no more
// than that. Only for who keeps others from writing it meanwhile.
void discard_unfinished(const std::string& path);

// Refuses a file that holds a secret and that group or others may read or write, or that belongs
// to somebody who is neither root nor the calling user.
[[nodiscard]] Result<void> require_private(const std::string& path);

}  // namespace holdfast::base
