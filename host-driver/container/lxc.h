// SPDX-License-Identifier: MIT
//
// A container of LXC, lxc.container.conf(5), that root runs. Its processes are in
// "lxc.payload.NAME"; a program is run by lxc-attach(1), which gives it the container's rights.
#pragma once

#include "container/manager.h"

namespace holdfast::host::container {

class Lxc final : public Manager {
 public:
  using Manager::Manager;

  [[nodiscard]] std::vector<std::string> inside(std::vector<std::string> argv) const override;

 private:
  [[nodiscard]] base::Result<Place> do_find(base::Deadline deadline,
                                            const std::stop_token& stop) override;
};

}  // namespace holdfast::host::container
