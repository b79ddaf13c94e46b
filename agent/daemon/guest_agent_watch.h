// SPDX-License-Identifier: MIT
//
// Sees qemu-ga thaw. Its own order of things (qga/commands-posix.c, main.c; the same from 1.1 on):
//
//   the freeze hook, then `qga.state.isfrozen` is made, then FIFREEZE of each filesystem
//   FITHAW of each filesystem, then `qga.state.isfrozen` is removed, then the thaw hook
//
// The file is removed for one other reason: nothing could be frozen (from 7.1 on), and then no thaw
// hook comes, and the host may be about to take its snapshot. So a removal counts only if a
// filesystem was seen frozen while the file was there (holdfast-fsd, kAwaitFreeze). A thaw by
// anybody else doesn't remove it.
//
// Only a state directory that nobody but root can write to is believed.
//
// Threads: begin() and end() on the coordinator's; everything else, the call of `thawed` included,
// in the loop.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "base/unique_fd.h"
#include "core/thaw_watch.h"
#include "daemon/event_loop.h"

struct inotify_event;

namespace holdfast::daemon {

class GuestAgentWatch final : public core::ThawWatch {
 public:
  // `state_directory` is qemu-ga's (--statedir); `fs_socket` is where holdfast-fsd listens.
  GuestAgentWatch(EventLoop& loop, std::string state_directory, std::string fs_socket,
                  std::function<void()> thawed);
  // The loop is not run any more.
  ~GuestAgentWatch() override = default;

  void begin() override;
  void end() override;

 private:
  void read_events();
  void on_event(const inotify_event& event);
  void await_freeze();
  // What holdfast-fsd has answered by now, if anything.
  void take_answer();
  void forget();

  EventLoop& loop_;
  const std::string state_directory_;
  const std::string fs_socket_;
  const std::function<void()> thawed_;
  const base::UniqueFd inotify_;
  // Of this window; -1 outside.
  std::atomic<int> watch_ = -1;
  // The watch that `asked_` and `frozen_` are of.
  int asked_for_ = -1;
  base::UniqueFd asked_;
  bool frozen_ = false;
};

}  // namespace holdfast::daemon
