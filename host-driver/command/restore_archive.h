// SPDX-License-Identifier: MIT
//
// The archive of a container, unpacked into a directory from which a container can be started. The
// directory has another name until all of it is there and on disk: DIR.partial. On btrfs it is a
// subvolume, so that the next backup finds one.
//
// Threads: one at a time.
#pragma once

#include "base/json_codec.h"
#include "command/chosen_backup.h"
#include "command/commands.h"

namespace holdfast::host::command {

// The same into the container as it runs, see run/running_restore.h: {"vm", "id", "restored"}
[[nodiscard]] base::Result<base::Json> restore_into_running(const ChosenBackup& chosen,
                                                            const Invocation& invocation,
                                                            Environment& environment);

// {"vm", "id", "directory"}
[[nodiscard]] base::Result<base::Json> restore_archive(const ChosenBackup& chosen,
                                                       const Invocation& invocation,
                                                       Environment& environment);

}  // namespace holdfast::host::command
