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

}  // namespace holdfast::host::qmp
