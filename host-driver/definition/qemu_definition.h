// SPDX-License-Identifier: MIT
//
// What a machine without libvirt is, as one JSON file: the command line of its QEMU with the known
// secrets taken out, QEMU's version, the machine's type, and the block graph as it stands before
// a run puts anything of its own into it. Flash that the machine only reads is named with its
// checksum; it comes with a package, and is no part of the backup.
//
// Threads: as qmp::Client. Errors: none of its own. What QEMU does not answer, or the kernel does
// not show, is lacking in the result, with the reason.
#pragma once

#include <string>

#include "definition/definition.h"
#include "qmp/client.h"

namespace holdfast::host::definition {

inline constexpr const char* kDefinitionFile = "definition.json";

// `monitor_path` is that of the socket, `tpm_state` the administrator's word, or empty. The
// deadline is that of all together.
[[nodiscard]] Definition read_qemu_definition(qmp::Client& monitor, const std::string& monitor_path,
                                              const std::string& tpm_state,
                                              base::Deadline deadline);

}  // namespace holdfast::host::definition
