// SPDX-License-Identifier: MIT
//
// What this QEMU's commands take, by its own account. Versions tell less: distributions add to old
// ones what new ones have.
//
// Threads: as Client.
#pragma once

#include <string_view>

#include "qmp/client.h"

namespace holdfast::host::qmp {

// In doubt, and on any error, no: the command is then used without.
[[nodiscard]] bool command_takes(Client& client, std::string_view command,
                                 std::string_view argument, base::Deadline deadline);

// Can this QEMU write qcow2 images that are compressed this way ("zlib", "zstd")? kUnsupported if
// it does not say so.
[[nodiscard]] base::Result<void> require_compression(Client& client, std::string_view kind,
                                                     base::Deadline deadline);

}  // namespace holdfast::host::qmp
