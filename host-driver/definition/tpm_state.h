// SPDX-License-Identifier: MIT
//
// The state of a machine's emulated TPM: where swtpm keeps it, and a copy of it. It holds the
// secrets of that TPM, so that its copies are for their owner alone.
//
// QEMU does not know where it is. For a plain QEMU it is what the process at the other end of the
// emulator's socket says on its command line; libvirt keeps it below a directory of the domain's
// UUID; and the administrator's word comes before both.
//
// Threads: plain functions.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "definition/command_line.h"
#include "definition/tpm_place.h"
#include "qmp/client.h"

namespace holdfast::host::definition {

// A machine's own TPM emulator: the name of its character device. Nothing if there is none.
// kUnsupported for the host's TPM, passed through.
[[nodiscard]] base::Result<std::optional<std::string>> tpm_of_qemu(qmp::Client& monitor,
                                                                   base::Deadline deadline);

// `words` and `qemu` are QEMU's.
[[nodiscard]] base::Result<TpmPlace> find_swtpm(const Words& words, pid_t qemu,
                                                const std::string& chardev);

// What swtpm's own command line says; `swtpm` completes relative paths.
[[nodiscard]] base::Result<TpmPlace> place_in(const Words& words, pid_t swtpm);

// Of libvirt on this host; `session` is that of the calling user.
[[nodiscard]] base::Result<TpmPlace> find_libvirt_tpm(bool session, const std::string& uuid);

// Where the administrator says.
[[nodiscard]] TpmPlace tpm_at(const std::string& directory);

struct TpmFile {
  std::string name;    // in the backup
  std::string source;  // the path
  std::string content;
  std::chrono::system_clock::time_point modified;
};

// All files of one moment: what changes while it is read is read again. Regular files alone, not
// through a link, each bounded. kNotFound if there are none, kBusy if they do not come to rest.
// `between` is called after each reading.
[[nodiscard]] base::Result<std::vector<TpmFile>> read_tpm_state(
    const TpmPlace& place, const std::function<void()>& between = {});

}  // namespace holdfast::host::definition
