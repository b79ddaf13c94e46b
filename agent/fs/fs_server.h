// SPDX-License-Identifier: MIT
//
// holdfast-fsd itself: the only part of Holdfast with CAP_SYS_ADMIN. Answers the six requests of
// fs_protocol.h and holds the dead-man's thaw timer.
//
// One thread runs the loop; it wakes for requests, for the timer and for the ends of fan-outs, and
// for nothing else, but while somebody waits to see a freeze. It never makes a system call on a
// filesystem itself, except open(2) of a mount point. It never logs while the timer is armed, and
// has nothing to log otherwise.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "fs/fanout.h"
#include "fs/freeze_watch.h"
#include "fs/fs_protocol.h"

namespace holdfast::fs {

class FsServer {
 public:
  // `listener` is a listening SOCK_SEQPACKET socket; `owner` may use it beside root.
  FsServer(base::UniqueFd listener, unsigned owner);

  // Until `stop` (a signalfd or any descriptor) is readable. Armed or not: what it held is dropped
  // with the process, so the unit must not stop this service during a window.
  [[nodiscard]] base::Result<void> run(int stop);

 private:
  // holdfastd is one; the next one may connect before the last has gone.
  static constexpr std::size_t kMostClients = 4;

  void accept_client();
  void serve(std::size_t client);
  void reply_to(std::size_t client, const FsReply& reply);
  [[nodiscard]] FsReply open_filesystem(const FsRequest& request);
  [[nodiscard]] FsReply arm(std::uint64_t milliseconds);
  void expire();
  void finish_sync();
  void finish_thaw();
  void await_freeze(std::size_t client);
  // Whoever waits for a freeze hears this, and the watch is over.
  void end_watch(const FsReply& reply);

  base::UniqueFd listener_;
  unsigned owner_;
  base::UniqueFd timer_;
  std::array<base::UniqueFd, kMostClients> clients_;
  // Who waits for the end of a fan-out; empty if nobody (any more).
  std::optional<std::size_t> sync_asker_;
  std::optional<std::size_t> thaw_asker_;
  std::optional<std::size_t> freeze_asker_;
  std::vector<base::UniqueFd> filesystems_;
  Fanout sync_;
  Fanout thaw_;
  FreezeWatch watch_;
};

}  // namespace holdfast::fs
