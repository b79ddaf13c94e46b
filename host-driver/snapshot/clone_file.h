// SPDX-License-Identifier: MIT
//
// One file as a clone of another, by a filesystem that shares their data (FICLONE: btrfs, XFS and
// others): nothing is copied, and what is dirty of the first one is written out before (Linux:
// generic_remap_file_range_prep()).
//
// Threads: plain functions.
#pragma once

#include "base/result.h"

namespace holdfast::host::snapshot {

// An empty file, as this one as far as a clone wants it so: with copy-on-write and checksums, or
// without. btrfs clones into no other.
[[nodiscard]] base::Result<void> make_alike(int from, int to);

// All of it.
[[nodiscard]] base::Result<void> clone_file(int from, int to);

}  // namespace holdfast::host::snapshot
