// SPDX-License-Identifier: MIT
//
// The files of this host that a plan names: a machine that was booted with a kernel of the host's,
// or with its firmware, cannot be booted without. Who can write to a repository must not get to
// read a file of the host's by naming it there: a kernel must be a kernel, an initrd an archive,
// and firmware what it was when the backup was made, or else what a package has put below
// /usr/share.
//
// Threads: any. Errors: kRefused for what is something else, kNotFound.
#pragma once

#include <stop_token>

#include "base/result.h"
#include "boot/plan.h"

namespace holdfast::host::boot {

// Firmware that has changed is noted in the plan.
[[nodiscard]] base::Result<void> check_host_files(Plan& plan, const std::stop_token& stop);

}  // namespace holdfast::host::boot
