// SPDX-License-Identifier: MIT
//
// A container of systemd-nspawn(1), registered with systemd-machined(8). Its processes are in
// "payload" below its unit's control group, nspawn's own in "supervisor" beside it; a program is
// run by the container's own systemd, with the container's rights.
#pragma once

#include "container/manager.h"

namespace holdfast::host::container {

class Nspawn final : public Manager {
 public:
  using Manager::Manager;

  [[nodiscard]] std::vector<std::string> inside(std::vector<std::string> argv) const override;

 private:
  [[nodiscard]] base::Result<Place> do_find(base::Deadline deadline,
                                            const std::stop_token& stop) override;
};

}  // namespace holdfast::host::container
