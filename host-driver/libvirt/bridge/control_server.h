// SPDX-License-Identifier: MIT
//
// The domain itself, to a driver that speaks as it does with a QEMU monitor: a greeting, commands
// tied to their answers by id, events in between. The commands are libvirt's work, not QEMU's:
//
//   query-domain                        state, disks, definition
//   query-disks                         disks alone, as they are now
//   query-status                        "running", "paused", "shut off", …
//   snapshot-disks  disks, others       the instant
//   commit-disk     target              starts to bring an overlay back
//   pivot-disk      target              ends that
//   …                                   backup_server.h has the rest
//   event BLOCK_JOB target              a job has changed
//
// Threads: one; events are written by the event loop's.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/json_codec.h"
#include "bridge/backup_server.h"
#include "bridge/connection.h"
#include "bridge/domain_xml.h"
#include "bridge/requests.h"
#include "bridge/writer.h"

namespace holdfast::host::libvirt {

class ControlServer {
 public:
  ControlServer(Requests& requests, Writer& writer, DomainAddress address)
      : requests_(requests), writer_(writer), address_(std::move(address)) {}

  // Until the driver goes.
  void serve();

 private:
  [[nodiscard]] base::Result<void> connect();
  [[nodiscard]] base::Result<void> connect_again();
  // Through a restart of the daemon, as far as the command may be given twice.
  [[nodiscard]] base::Result<base::Json> answer(const std::string& command,
                                                const base::Json& arguments);
  [[nodiscard]] base::Result<base::Json> execute(const std::string& command,
                                                 const base::Json& arguments);
  [[nodiscard]] base::Result<base::Json> query_domain();
  [[nodiscard]] base::Result<base::Json> query_disks();
  [[nodiscard]] base::Result<base::Json> snapshot_disks(const base::Json& arguments);

  Requests& requests_;
  Writer& writer_;
  DomainAddress address_;
  std::unique_ptr<Connection> connection_;
  std::optional<BackupServer> backups_;  // of that connection
};

}  // namespace holdfast::host::libvirt
