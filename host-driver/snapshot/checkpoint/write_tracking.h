// SPDX-License-Identifier: MIT
//
// Takes back what a background snapshot that failed leaves on a machine's memory, or one that
// hangs. QEMU (7.2, seen; migration/migration.c, bg_migration_thread()) ends the write protection
// only of one that was completed: after any other ending each processor hangs in its first write to
// a page that was not saved yet, for ever, while QEMU says that it runs; and before it, as long as
// the storage keeps QEMU from saving a page. Its userfaultfd serves from outside too
// (userfaultfd(2): the ranges are those of the process that has made it), for who may trace that
// process (pidfd_getfd(2)).
//
// Threads: plain function. Errors: kPermission and the like; kNotFound without the process.
#pragma once

#include <sys/types.h>

#include "base/result.h"

namespace holdfast::host::snapshot {

// True if there was a protection. A background snapshot that is under way fails at the next page
// that it saves (migration/ram.c, ram_save_release_protection()).
[[nodiscard]] base::Result<bool> end_write_tracking(pid_t qemu);

}  // namespace holdfast::host::snapshot
