// SPDX-License-Identifier: MIT
//
// The part of the ControlServer's commands that is about libvirt's backups and checkpoints:
//
//   begin-backup       targets, checkpoint, rate   the instant
//   limit-backup       disks, rate
//   query-backup                                   its state, progress, and how it ended
//   abort-backup
//   query-checkpoints                              names, disks, what has changed since
//   remove-checkpoint  name
//
// Threads: one. Ownership: borrows the connection.
#pragma once

#include <optional>
#include <string>

#include "base/json_codec.h"
#include "bridge/backups.h"
#include "bridge/connection.h"

namespace holdfast::host::libvirt {

class BackupServer {
 public:
  [[nodiscard]] static base::Result<BackupServer> of(Connection& connection);

  // Nothing for a command that is none of these.
  [[nodiscard]] std::optional<base::Result<base::Json>> execute(const std::string& command,
                                                                const base::Json& arguments);

 private:
  explicit BackupServer(Backups backups) : backups_(std::move(backups)) {}

  [[nodiscard]] base::Result<base::Json> begin(const base::Json& arguments);
  [[nodiscard]] base::Result<base::Json> limit(const base::Json& arguments);
  [[nodiscard]] base::Result<base::Json> status() const;
  [[nodiscard]] base::Result<base::Json> checkpoints() const;

  Backups backups_;
};

// The texts of a list in a command's arguments.
[[nodiscard]] base::Result<std::vector<std::string>> texts_in(const base::Json& arguments,
                                                              std::string_view key);
[[nodiscard]] base::Result<base::Json> nothing_or(base::Result<void> done);

}  // namespace holdfast::host::libvirt
