// SPDX-License-Identifier: MIT
//
// Speaks the guest agent's protocol, as if it were the agent's socket (QEMU: qga/qapi-schema.json):
// each command goes through libvirt, which owns that socket. Libvirt synchronises with the agent
// before each command; guest-sync-delimited is answered here once a guest-ping has come back.
//
// Threads: one.
#pragma once

#include <memory>
#include <string>

#include "bridge/connection.h"
#include "bridge/requests.h"
#include "bridge/writer.h"

namespace holdfast::host::libvirt {

class AgentServer {
 public:
  // `seconds`: how long libvirt waits for an answer, so that a guest which gives none does not keep
  // libvirt's other users from the agent for ever.
  AgentServer(Requests& requests, Writer& writer, DomainAddress address, int seconds)
      : requests_(requests), writer_(writer), address_(std::move(address)), seconds_(seconds) {}

  // Until the driver goes.
  void serve();

 private:
  [[nodiscard]] base::Result<void> connect();
  [[nodiscard]] std::string answer(const std::string& line);

  Requests& requests_;
  Writer& writer_;
  DomainAddress address_;
  int seconds_;
  std::unique_ptr<Connection> connection_;
};

// Must a line be done even if the driver goes? A thaw, and what was sent before it.
[[nodiscard]] bool is_thaw(const std::string& line);

}  // namespace holdfast::host::libvirt
