// SPDX-License-Identifier: MIT
//
// QEMU's command line for a throwaway machine: no network, no display, no monitor, nothing of the
// host's but its disks' overlays, firmware, and a kernel where the machine had one; in QEMU's
// sandbox.
//
// Threads: plain functions.
#pragma once

#include <string>
#include <vector>

#include "boot/plan.h"
#include "image/source.h"

namespace holdfast::host::boot {

struct Stand {
  std::string qemu;
  bool kvm = false;
  std::string agent;  // the path of the socket that is made for the agent's channel
  // Of each of the plan's disks, and in their order: the overlay, and the backup's images below it,
  // which are opened read-only.
  struct Images {
    std::string overlay;
    std::vector<image::Layer> below;
  };
  std::vector<Images> images;
};

[[nodiscard]] base::Result<std::vector<std::string>> qemu_command(const Plan& plan,
                                                                  const Stand& stand);

}  // namespace holdfast::host::boot
