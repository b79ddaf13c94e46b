// SPDX-License-Identifier: MIT
//
// The daemon's side of fs/fs_protocol.h: filesystems are flushed and thawed by holdfast-fsd, which
// alone may. Connects when first needed, and again when the connection has gone.
//
// Threads: the coordinator's.
#pragma once

#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "core/fs_freezer.h"
#include "fs/fs_protocol.h"

namespace holdfast::daemon {

class FsClient final : public core::FsFreezer {
 public:
  explicit FsClient(std::string socket);

  [[nodiscard]] base::Result<void> arm(const std::vector<std::string>& mount_points,
                                       base::Millis max_hold, base::Deadline deadline) override;
  [[nodiscard]] base::Result<void> extend(base::Millis max_hold, base::Deadline deadline) override;
  [[nodiscard]] base::Result<void> confirm() override;
  [[nodiscard]] base::Result<void> sync(base::Deadline deadline) override;
  [[nodiscard]] base::Result<void> thaw(base::Deadline deadline) override;
  [[nodiscard]] base::Result<void> disarm(base::Deadline deadline) override;

 private:
  [[nodiscard]] bool is_connected() const;
  [[nodiscard]] base::Result<void> connect(base::Deadline deadline);
  // The reply, whatever it says; an error if there is none. The connection is closed then: a late
  // reply must not be taken for that to the next request.
  [[nodiscard]] base::Result<fs::FsReply> ask(const fs::FsRequest& request,
                                              base::Deadline deadline);
  // The same, and what the reply says: "unable to `what` '/mnt': …".
  [[nodiscard]] base::Result<void> request(fs::FsOp op, std::uint64_t value, const char* what,
                                           base::Deadline deadline);
  [[nodiscard]] base::Result<void> open(const std::string& mount_point, base::Deadline deadline);

  // A service that was restarted has forgotten the set, and its dead-man: opens the set again.
  [[nodiscard]] base::Result<void> restore_set(base::Deadline deadline);

  std::string socket_;
  base::UniqueFd fd_;
  std::vector<std::string> mount_points_;
  // The service at the other end of this very connection has been told of them.
  bool has_set_ = false;
};

}  // namespace holdfast::daemon
