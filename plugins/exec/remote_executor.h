// SPDX-License-Identifier: MIT
//
// Has the programs of an exec resource run by holdfast-execd, as root. See executor.h for the
// contract, execd_protocol.h for what is said.
//
// The connection is the session: it stays open from the first probe on, and if it ends in a window,
// whichever side has died, the hold is lost and holdfast-execd tells `thaw` to what was frozen.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "base/unique_fd.h"
#include "exec/execd_protocol.h"
#include "exec/executor.h"

namespace holdfast::exec {

class RemoteExecutor final : public Executor {
 public:
  // `resource` is the plain name of the resource file.
  RemoteExecutor(std::string socket_path, std::string resource);

  [[nodiscard]] base::Result<std::string> probe(const Call& call) override;
  [[nodiscard]] base::Result<void> prepare(const Call& call) override;
  [[nodiscard]] base::Result<void> freeze(const Call& call) override;
  // Also kHoldLost if the connection has ended since the freeze.
  [[nodiscard]] base::Result<void> check(const Call& call) override;
  [[nodiscard]] base::Result<void> thaw(const Call& call) override;
  [[nodiscard]] bool has_programs() const override { return has_programs_; }
  void rollback(base::Deadline deadline) override;
  [[nodiscard]] int watch_fd() const override { return connection_ ? connection_->get() : -1; }
  void interrupt() override;

 private:
  [[nodiscard]] base::Result<void> connect(const Call& call);
  void disconnect();
  // Sends and awaits the reply; on anything but a proper reply the connection is closed, which
  // makes the other side stop and undo.
  [[nodiscard]] base::Result<std::string> ask(ExecVerb verb, const Call& call);

  std::string socket_path_;
  std::string resource_;
  // Shared with interrupt(): shut down from there, closed here alone, under the mutex.
  std::mutex mutex_;
  std::unique_ptr<base::UniqueFd> connection_;
  std::string buffer_;
  std::string window_;    // of what is owed
  bool owed_ = false;     // something was asked that a thaw must follow
  bool session_ = false;  // and it was asked over the connection that is open
  bool has_programs_ = true;
};

}  // namespace holdfast::exec
