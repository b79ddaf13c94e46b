// SPDX-License-Identifier: MIT
#include <iostream>

#include "base/text.h"
#include "command/snapshot.h"

namespace holdfast::host::command {

using base::Result;

Result<int> snapshot_flatten(const Invocation& invocation, Environment& environment) {
  const auto settings = snapshot_settings(invocation, Needs::kMonitor);
  if (!settings) return settings.error();
  image::QemuImg images(environment.processes, settings->qemu_img);
  auto points = open_points(*settings, images, invocation.quiet, environment);
  if (!points) return std::move(points).error();
  const auto flat = (*points)->flatten();
  if (!flat) return flat.error();
  if (invocation.json) {
    std::cout << base::to_document({{"vm", settings->vm}, {"images", *flat}});
  } else if (!invocation.quiet) {
    for (const std::string& path : *flat)
      std::cout << settings->vm << ": " << base::printable(path) << " rests on nothing"
                << std::endl;
  }
  return 0;
}

}  // namespace holdfast::host::command
