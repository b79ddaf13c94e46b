// SPDX-License-Identifier: MIT
//
// One family of things that can stand in the way of a freeze from the host. A family is one small
// file; all of them are in all_checks().
//
// A check reads what it is given and nothing else, changes nothing, and always says something: that
// all is well, what is not, or that it could not find out.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_codec.h"
#include "doctor/finding.h"
#include "doctor/guest_agent.h"
#include "doctor/mount_table.h"
#include "doctor/world.h"

namespace holdfast::doctor {

// What has been found out beforehand, for all checks.
struct Patient {
  const World& world;
  GuestAgent agent;
  MountTable mounts;
  // What 'qemu-ga --version' says; empty if it could not be asked.
  std::string agent_version;
  // The daemon's status; nothing if it could not be asked, and then why.
  std::optional<base::Json> status;
  std::string status_problem;
  // Else much cannot be found out.
  bool as_root = false;
};

class Check {
 public:
  Check() = default;
  Check(const Check&) = delete;
  Check& operator=(const Check&) = delete;
  virtual ~Check() = default;

  [[nodiscard]] virtual std::string_view family() const = 0;
  [[nodiscard]] virtual Findings run(const Patient& patient) const = 0;
};

[[nodiscard]] std::vector<std::unique_ptr<Check>> all_checks();

// Each in its own file.
[[nodiscard]] std::unique_ptr<Check> make_guest_agent_check();
[[nodiscard]] std::unique_ptr<Check> make_commands_check();
[[nodiscard]] std::unique_ptr<Check> make_hook_check();
[[nodiscard]] std::unique_ptr<Check> make_early_release_check();
[[nodiscard]] std::unique_ptr<Check> make_service_check();
[[nodiscard]] std::unique_ptr<Check> make_databases_check();
[[nodiscard]] std::unique_ptr<Check> make_filesystems_check();
[[nodiscard]] std::unique_ptr<Check> make_timeouts_check();
[[nodiscard]] std::unique_ptr<Check> make_security_check();
[[nodiscard]] std::unique_ptr<Check> make_hosting_check();

}  // namespace holdfast::doctor
