// SPDX-License-Identifier: MIT
//
// A process of its own with one duty: if this one dies between freeze and thaw, or overstays, it
// thaws the guest, and lets the machine go on if it was stopped. It is forked before the freeze,
// leads a session of its own, ignores the signals that end a command, and holds nothing but one end
// of a socket pair and its standard streams.
//
//   driver dies                 the socket ends without 'done': cont, if the machine is paused, and
//                               what the note of a checkpoint says; connect to the agent, sync,
//                               thaw; in turn, until both are done
//
//   driver is stopped or hangs  the window's bound passes: SIGKILL to the driver, then the same
//
//   driver says 'done'          the guardian ends
//
// Killing the driver also frees the agent's socket, which serves one client.
//
// Threads: one at a time. Ownership: the object is the driver's end; destroyed while armed, it
// leaves the thaw to the guardian.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "snapshot/checkpoint/memory_note.h"
#include "wire/endpoint.h"

namespace holdfast::host::run {

struct GuardianSpec {
  std::string vm;
  // Either may be empty: nothing is frozen, the machine is not stopped.
  wire::Endpoint agent;
  wire::Endpoint monitor = {};
  // Of what is no machine: in place of both, run in the guardian. It finds whatever it needs by
  // name, since no descriptor is left there; told of on standard error if it fails.
  std::function<base::Result<void>(base::Deadline)> release = {};
  // Where there is one, it says in which way the machine is to be let go on.
  snapshot::MemoryNoteFile note = snapshot::MemoryNoteFile("");
  // How long it keeps trying to thaw.
  base::Millis patience{600000};
};

class Guardian {
 public:
  // Forks, and waits until the guardian says that it is there.
  [[nodiscard]] static base::Result<Guardian> start(const GuardianSpec& spec);
  Guardian(Guardian&& other) noexcept;
  Guardian& operator=(Guardian&&) = delete;
  Guardian(const Guardian&) = delete;
  Guardian& operator=(const Guardian&) = delete;
  ~Guardian();

  // From now on the thaw is the guardian's duty if ours fails: must succeed before the freeze.
  // Again to grant more time.
  [[nodiscard]] base::Result<void> arm(base::Millis bound);
  // The guest is thawed. Ends the guardian and waits for that.
  void dismiss();

 private:
  Guardian(base::UniqueFd socket, pid_t process) : socket_(std::move(socket)), process_(process) {}

  base::UniqueFd socket_;
  pid_t process_;
  bool armed_ = false;
};

}  // namespace holdfast::host::run
