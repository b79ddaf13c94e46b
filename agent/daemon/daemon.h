// SPDX-License-Identifier: MIT
//
// holdfastd put together: loop, sequencer, coordinator, control socket, dead-man, signals, and what
// systemd is told. Takes a configuration with its plugins already made; run() returns the exit
// status.
//
// Threads: constructed and run on the main thread. All signals that it handles must be blocked
// before the first thread is made.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/plugin.h"
#include "base/clock.h"
#include "core/bell.h"
#include "core/config.h"
#include "core/coordinator.h"
#include "core/journal.h"
#include "core/log_ring.h"
#include "daemon/control_server.h"
#include "daemon/event_loop.h"
#include "daemon/fs_client.h"
#include "daemon/guest_agent_watch.h"
#include "daemon/sequencer.h"
#include "daemon/timer_dead_man.h"

namespace holdfast::daemon {

// SIGTERM and SIGINT, which end the daemon; blocked for the calling thread and its children.
void block_signals();

class Daemon {
 public:
  Daemon(core::AgentConfig config, std::vector<std::unique_ptr<api::Plugin>> plugins);
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  ~Daemon();

  // Directories, socket, threads, and READY=1.
  [[nodiscard]] base::Result<void> start();
  int run();

 private:
  [[nodiscard]] base::Result<void> open_socket();
  void watch_signals();
  void watch_dead_man();
  void keep_watchdog();
  void begin_stop();
  void show_status();
  void end_if_stuck();
  // Without waiting for a thread that does not come back.
  [[noreturn]] void end_now();

  core::AgentConfig config_;
  std::vector<std::unique_ptr<api::Plugin>> plugins_;
  base::SystemClock clock_;
  std::shared_ptr<core::LogRing> ring_;
  spdlog::logger log_;
  core::Bell bell_;
  core::Journal journal_;
  FsClient filesystems_;
  TimerDeadMan dead_man_;
  EventLoop loop_;
  GuestAgentWatch guest_agent_;
  base::UniqueFd signals_;
  std::unique_ptr<core::Coordinator> coordinator_;
  std::unique_ptr<Sequencer> sequencer_;
  std::unique_ptr<ControlServer> server_;
  std::string shown_status_;
  bool stopping_ = false;
};

}  // namespace holdfast::daemon
