// SPDX-License-Identifier: MIT
//
// How much memory a machine has, and how much room QEMU needs to write it down.
//
// Threads: plain functions. Errors: as qmp::Client.
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "base/result.h"
#include "qmp/client.h"

namespace holdfast::host::snapshot {

// In bytes, with what was plugged in.
[[nodiscard]] base::Result<std::uint64_t> memory_of(qmp::Client& monitor, base::Deadline deadline);

// At the most, with the state of the devices.
[[nodiscard]] std::uint64_t room_for_memory(std::uint64_t bytes);

}  // namespace holdfast::host::snapshot
