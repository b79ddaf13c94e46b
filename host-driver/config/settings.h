// SPDX-License-Identifier: MIT
//
// The effective settings for one machine, checked and typed: command line before the machine's
// file before host.conf before the defaults.
//
// Threads: plain values. Errors: kConfiguration with file and line, kUsage for the command line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/options.h"
#include "base/result.h"

namespace holdfast::host::config {

inline constexpr const char* kConfigDirectory = "/etc/holdfast";

// Who is told what became of a command; of the host, not of one machine.
struct NotifySettings {
  std::vector<std::string> mail;     // addresses; empty: no mail
  std::vector<std::string> command;  // an argument vector, the first word an absolute path
  std::string on;                    // "failure", "warning", "change", "always"
  std::string from;                  // an address; empty: root at this host
  std::string sendmail;
  base::Millis timeout{0};

  [[nodiscard]] bool wanted() const { return !mail.empty() || !command.empty(); }
};

// Of the newest ones, and of the newest ones of each hour, day and so on; 0: none by this rule.
struct KeepRules {
  std::int64_t last = 0;
  std::int64_t hourly = 0;
  std::int64_t daily = 0;
  std::int64_t weekly = 0;
  std::int64_t monthly = 0;
  std::int64_t yearly = 0;

  bool operator==(const KeepRules&) const = default;
};

// A container in place of a machine, by the name that its manager knows it by.
struct ContainerName {
  std::string manager;  // "nspawn", "lxc"; empty: it is no container
  std::string name;

  [[nodiscard]] bool empty() const { return manager.empty(); }
};

struct Settings {
  std::string vm;
  bool enabled = true;  // for --all
  std::string group;    // empty: none
  int parallel = 1;
  int parallel_archives = 1;
  std::string qmp;     // empty: not configured
  std::string agent;   // likewise
  std::string uri;     // of libvirt; empty: the machine is reached over qmp and agent
  std::string domain;  // libvirt's name of it; empty: that of the machine
  ContainerName container;
  std::string libvirt_program;
  std::string tpm_state;  // empty: found
  std::string repository;
  std::string state_directory;
  std::string method;
  std::string memory;  // of checkpoints: "auto", "live", "stopped"
  base::Millis memory_timeout{0};
  bool incremental = false;
  int full_every = 1;
  std::int64_t rate_limit = 0;  // of copies, in bytes per second; 0: none
  std::string compress;         // "none", "zstd"
  std::string trim;             // "no", "yes", "require"
  base::Millis trim_timeout{0};
  std::string require;
  std::string prefer;
  base::Millis freeze_timeout{0};
  base::Millis thaw_timeout{0};
  base::Millis snapshot_timeout{0};
  base::Millis agent_timeout{0};
  base::Millis qmp_timeout{0};
  base::Millis copy_timeout{0};
  base::Millis settle_timeout{0};
  std::string overlay_directory;  // empty: beside each image
  int overlay_reserve = 0;
  bool btrfs_send = false;
  std::string guest_record;
  std::string metrics_directory;  // empty: none
  std::string qemu_img;
  std::string qemu_storage_daemon;
  // Of verify --boot.
  std::string boot_qemu;
  std::string boot_accelerator;  // "auto", "kvm", "tcg"
  std::string boot_directory;
  std::int64_t boot_memory = 0;  // in bytes
  std::int64_t boot_space = 0;   // in bytes, for each disk
  base::Millis boot_timeout{0};
  // Argument vectors, the first word an absolute path; empty: none.
  std::vector<std::string> pre_command;
  std::vector<std::string> post_command;
  base::Millis command_timeout{0};
  NotifySettings notify;
  std::string snapshot_method;  // "internal", "overlay", "btrfs"
  // How many backups, and how many restore points, prune keeps.
  KeepRules keep;
  KeepRules snapshot_keep;
  // "key = value  # origin" lines.
  std::string printed;
};

// `overrides` come from the command line. `vm` empty: what holds for all of them.
[[nodiscard]] base::Result<Settings> load_settings(const std::string& config_directory,
                                                   const std::string& vm,
                                                   const std::vector<base::Setting>& overrides);

// The names of the files in vms.d, without ".conf".
[[nodiscard]] base::Result<std::vector<std::string>> configured_vms(
    const std::string& config_directory);

}  // namespace holdfast::host::config
