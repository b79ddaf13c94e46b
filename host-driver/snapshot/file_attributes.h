// SPDX-License-Identifier: MIT
//
// What a file has beside its content: for one that will take the other's name.
//
// Threads: plain functions. Errors: errno's.
#pragma once

#include "base/result.h"

namespace holdfast::host::snapshot {

// Owner, group, mode, and extended attributes, of which ACLs and security labels are some.
[[nodiscard]] base::Result<void> copy_attributes(int from, int to);

}  // namespace holdfast::host::snapshot
