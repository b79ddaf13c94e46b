// SPDX-License-Identifier: MIT
//
// What every way to make increments asks of the backup that they would stand on, before it looks
// at bitmaps of its own.
//
// Threads: plain functions.
#pragma once

#include "base/result.h"
#include "snapshot/increment.h"

namespace holdfast::host::snapshot {

// The disk in the parent, if an image of it can stand on that one; the message of the error says
// why not. Valid as long as the parent is.
[[nodiscard]] base::Result<const ParentDisk*> find_in_parent(const qmp::Disk& disk,
                                                             const Parent& parent);

}  // namespace holdfast::host::snapshot
