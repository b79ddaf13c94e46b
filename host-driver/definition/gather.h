// SPDX-License-Identifier: MIT
//
// The part of a definition that is copied, not asked for: files of the host that belong to the
// machine, such as its UEFI variables and the state of its TPM.
//
// Threads: plain function.
#pragma once

#include <cstddef>

#include "definition/definition.h"

namespace holdfast::host::definition {

// Reads the files that have a source, each of `limit` bytes at most, and the TPM's state, and says
// of that in `about`. What cannot be read is left out, and lacking.
void gather(Definition& definition, std::size_t limit);

}  // namespace holdfast::host::definition
