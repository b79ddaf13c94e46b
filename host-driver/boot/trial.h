// SPDX-License-Identifier: MIT
//
// One backup, started and asked. Its images are opened read-only, below overlays in a private
// directory that is thrown away with the machine; nothing of the backup is written to.
//
// Threads: one at a time; blocks as long as the time limit, and a little for getting ready.
// Ownership: borrows all that it is given; the caller sees to it that the backup stays (Use).
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "base/process_runner.h"
#include "boot/judgement.h"
#include "config/settings.h"
#include "image/source.h"
#include "repository/repository.h"

namespace holdfast::host::boot {

struct Trial {
  Judgement judgement;
  // What it was like and how long it took, for proof.json.
  base::Json facts;
};

// An error is a trial that could not be made, and says nothing of the backup: no QEMU, no room, a
// limit that was reached, an interruption. `layers` are the images of the manifest's disks, top
// first, already looked at.
[[nodiscard]] base::Result<Trial> try_backup(const repository::Backup& backup,
                                             const std::vector<std::vector<image::Layer>>& layers,
                                             const config::Settings& settings,
                                             base::ProcessRunner& processes,
                                             const std::stop_token& stop);

}  // namespace holdfast::host::boot
