// SPDX-License-Identifier: MIT
//
// `btrfs send | btrfs receive`: a read-only snapshot on another filesystem (or another place of the
// same), in full or as what differs from one that both sides have.
//
// Threads: any; one more is used meanwhile. Errors: kProcessFailed, kTimedOut, kCancelled; what was
// received in part is left behind.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/process_runner.h"
#include "base/result.h"

namespace holdfast::host::snapshot {

struct SendSpec {
  std::string snapshot;
  // Another snapshot of the same source, of which `into` has the received copy; empty: in full.
  std::string parent;
  // The directory in which a subvolume of the snapshot's name is made.
  std::string into;
};

// The bytes of the stream. What it carried is durable when it returns.
[[nodiscard]] base::Result<std::uint64_t> send_snapshot(base::ProcessRunner& processes,
                                                        const SendSpec& spec,
                                                        base::Deadline deadline,
                                                        const std::stop_token& stop);

}  // namespace holdfast::host::snapshot
