// SPDX-License-Identifier: MIT
//
// Who runs a container and knows it by a name: where it is, and how a program is run in it. The one
// place that knows of the differences between systemd-nspawn and LXC.
//
// A container is not trusted: nothing that it says becomes a path, and programs are run in it by
// its manager, never by entering its namespaces from here: what is run there is the container's own
// file, and would have this process's capabilities.
//
// Threads: one at a time. Ownership: borrows the ProcessRunner. Errors: kRefused for a container
// that does not run, kUnsupported for one that is not run as is needed here.
#pragma once

#include <sys/types.h>

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/process_runner.h"
#include "base/result.h"
#include "config/settings.h"

namespace holdfast::host::container {

struct Found {
  pid_t leader = 0;
  // Absolute, without symbolic links, on this host.
  std::string root;
  // The directory of the control group that holds all of its processes, and no other.
  std::string cgroup;
};

class Manager {
 public:
  Manager(config::ContainerName name, base::ProcessRunner& processes)
      : name_(std::move(name)), processes_(processes) {}
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;
  virtual ~Manager() = default;

  [[nodiscard]] const config::ContainerName& name() const { return name_; }
  [[nodiscard]] base::Result<Found> find(base::Deadline deadline, const std::stop_token& stop);
  // The command of this host that runs a command in the container, with its standard streams and
  // its exit status.
  [[nodiscard]] virtual std::vector<std::string> inside(std::vector<std::string> argv) const = 0;

 protected:
  // The standard output of one of the manager's programs.
  [[nodiscard]] base::Result<std::string> ask(std::vector<std::string> argv,
                                              base::Deadline deadline, const std::stop_token& stop);
  [[nodiscard]] base::Error not_running(const std::string& why) const;

 private:
  struct Place {
    pid_t leader = 0;
    std::string root;
    // The part of the control group's path that ends it: "/machine-web.scope/payload".
    std::vector<std::string> cgroup_marks;
  };
  friend class Nspawn;
  friend class Lxc;

  [[nodiscard]] virtual base::Result<Place> do_find(base::Deadline deadline,
                                                    const std::stop_token& stop) = 0;

  config::ContainerName name_;
  base::ProcessRunner& processes_;
};

[[nodiscard]] std::unique_ptr<Manager> make_manager(const config::ContainerName& name,
                                                    base::ProcessRunner& processes);

// The control group in the text of /proc/PID/cgroup, up to and with the first of these parts that
// is in it, as whole names; empty if there is none. Whatever a container makes below its own
// control group stands after that.
[[nodiscard]] std::string payload_in(std::string_view text, const std::vector<std::string>& marks);

}  // namespace holdfast::host::container
