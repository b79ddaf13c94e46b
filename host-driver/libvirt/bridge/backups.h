// SPDX-License-Identifier: MIT
//
// Libvirt's own backups (virDomainBackupBegin, push mode) and the checkpoints that increments are
// made from. A domain has one backup at a time, whoever began it.
//
// How a backup ended, libvirt tells in an event, to those who were connected then; and to others
// as long as no other job of the domain has ended since.
//
// Threads: calls on one thread; the event arrives on another, inside. Ownership: borrows the
// connection. Errors: kRefused with libvirt's words.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "bridge/backup_xml.h"
#include "bridge/connection.h"

namespace holdfast::host::libvirt {

enum class BackupState : std::uint8_t {
  kNone,
  kBeginning,  // the call that begins it has not come back
  kRunning,
  kOther,  // not a backup: another job has the domain
};

struct BackupEnd {
  bool success = false;
  std::string error;
};

struct BackupStatus {
  BackupState state = BackupState::kNone;
  std::vector<std::string> targets;
  std::uint64_t done = 0;
  std::uint64_t total = 0;
  // Of the latest that has ended; nothing if nobody knows.
  std::optional<BackupEnd> ended;
};

class Backups {
 public:
  // Registers for the event.
  [[nodiscard]] static base::Result<Backups> of(Connection& connection);

  // The instant: all disks and the checkpoint, or nothing. `rate`: bytes per second and disk, from
  // just after it on; 0: as fast as it goes.
  [[nodiscard]] base::Result<void> begin(const std::vector<BackupTarget>& targets,
                                         const std::optional<NewCheckpoint>& checkpoint,
                                         std::uint64_t rate);
  // Of those that are still copied. Refused as well while one is just ending.
  [[nodiscard]] base::Result<void> limit(const std::vector<std::string>& disks, std::uint64_t rate);
  [[nodiscard]] base::Result<BackupStatus> status() const;
  // Asks it to end; it does so a little later.
  [[nodiscard]] base::Result<void> abort();

  [[nodiscard]] base::Result<std::vector<XmlCheckpoint>> checkpoints() const;
  // With its bitmaps, as far as there are any. The domain must run.
  [[nodiscard]] base::Result<void> remove_checkpoint(const std::string& name);

 private:
  struct Memory {
    std::mutex mutex;
    std::optional<BackupEnd> ended;
  };

  explicit Backups(Connection& connection)
      : connection_(&connection), memory_(std::make_shared<Memory>()) {}

  static void on_end(virConnectPtr connection, virDomainPtr domain, virTypedParameterPtr parameters,
                     int count, void* opaque);
  [[nodiscard]] virDomainPtr domain() const { return connection_->domain(); }
  [[nodiscard]] std::optional<BackupEnd> last_end() const;
  [[nodiscard]] base::Result<void> remove_piece_by_piece(const std::string& xml,
                                                         const XmlCheckpoint& checkpoint);

  Connection* connection_;
  std::shared_ptr<Memory> memory_;
};

}  // namespace holdfast::host::libvirt
