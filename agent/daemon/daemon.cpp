// SPDX-License-Identifier: MIT
#include "daemon/daemon.h"

#include <signal.h>  // sigprocmask: POSIX, not std
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/unix_socket.h"
#include "daemon/stderr_sink.h"

namespace holdfast::daemon {

namespace {

using namespace std::chrono_literals;

constexpr mode_t kSocketMode = 0600;
// Beyond its own time-out, which it keeps by itself.
constexpr base::Millis kStopGrace = 5s;
// A check is bounded by 10 s, a thaw or freeze by their time-outs, a drill by both; then something
// is wrong.
constexpr base::Millis kJobGrace = 15s;

sigset_t handled_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

std::shared_ptr<core::LogRing> make_ring() {
  return std::make_shared<core::LogRing>(
      std::make_shared<StderrSink>(StderrSink::stderr_is_journal()));
}

}  // namespace

void block_signals() {
  const sigset_t signals = handled_signals();
  (void)::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  // A peer that goes away is an error of that call, not the end of this process.
  (void)::signal(SIGPIPE, SIG_IGN);
}

Daemon::Daemon(core::AgentConfig config, std::vector<std::unique_ptr<api::Plugin>> plugins)
    : config_(std::move(config)),
      plugins_(std::move(plugins)),
      ring_(make_ring()),
      log_("coordinator", ring_),
      journal_(config_.state_directory, config_.run_directory, config_.records_kept),
      filesystems_(config_.fs_socket),
      guest_agent_(loop_, config_.guest_agent_state, config_.fs_socket,
                   [this] { sequencer_->thaw_seen(); }) {
  log_.set_level(spdlog::level::from_str(config_.log_level));
}

Daemon::~Daemon() {
  server_.reset();
  // The sequencer's thread works on the coordinator.
  sequencer_.reset();
  coordinator_.reset();
}

base::Result<void> Daemon::start() {
  if (auto opened = journal_.open(); !opened) return opened;
  const sigset_t signals = handled_signals();
  signals_ = base::UniqueFd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_.valid()) return base::errno_error(errno, "unable to wait for signals");

  core::Resources resources;
  for (std::size_t i = 0; i < plugins_.size(); ++i) {
    const core::ResourceConfig& config = config_.resources.at(i);
    resources.push_back(std::make_unique<core::Resource>(
        core::Resource::Traits{config.name, config.plugin, config.required, config.order},
        std::move(plugins_[i]), clock_, bell_, [this] { loop_.post([this] { show_status(); }); }));
  }
  core::CoordinatorSettings settings{
      config_.freeze_timeout, config_.thaw_timeout,        config_.max_hold,
      config_.filesystems,    config_.without_filesystems, {}};
  coordinator_ = std::make_unique<core::Coordinator>(
      std::move(settings),
      core::CoordinatorWorld{clock_, filesystems_, dead_man_, journal_, bell_, log_, *ring_,
                             guest_agent_},
      std::move(resources));
  sequencer_ = std::make_unique<Sequencer>(
      *coordinator_, journal_, loop_, config_.freeze_timeout + config_.thaw_timeout + kJobGrace,
      [this] { end_if_stuck(); });
  if (auto opened = open_socket(); !opened) return opened;
  watch_signals();
  watch_dead_man();
  // Only what has been touched is locked, and stays: the code of a freeze has been touched by then
  // (every probe runs the sessions), and a whole client library would be many times the daemon.
  if (::mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0) {
    log_.warn("unable to lock the memory: {}, continuing (LimitMEMLOCK= of the unit allows it)",
              strerrordesc_np(errno));
  }
  log_.info("holdfastd " HOLDFAST_VERSION " listens on '{}', {} resources", config_.control_socket,
            config_.resources.size());
  (void)::sd_notify(0, "READY=1");
  keep_watchdog();
  show_status();
  return {};
}

base::Result<void> Daemon::open_socket() {
  auto listener = base::listen_unix(config_.control_socket, kSocketMode);
  if (!listener) return std::move(listener).error();
  ControlServer::Callbacks callbacks;
  callbacks.status = [this] { return base::to_line(coordinator_->status()) + "\n"; };
  callbacks.submit = [this](base::Verb verb, Sequencer::Answer answer) {
    return sequencer_->submit(verb, std::move(answer));
  };
  callbacks.unheard_freeze = [this] { sequencer_->abandon(); };
  callbacks.replied = [this] { end_if_stuck(); };
  server_ = std::make_unique<ControlServer>(std::move(*listener), loop_, std::move(callbacks));
  return {};
}

void Daemon::watch_signals() {
  loop_.watch(signals_.get(), EPOLLIN, [this](std::uint32_t) {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info)
      begin_stop();
  });
}

void Daemon::watch_dead_man() {
  loop_.watch(dead_man_.fd(), EPOLLIN, [this](std::uint32_t) {
    std::uint64_t times = 0;
    if (::read(dead_man_.fd(), &times, sizeof times) == sizeof times) sequencer_->expire();
  });
}

void Daemon::keep_watchdog() {
  std::uint64_t microseconds = 0;
  if (::sd_watchdog_enabled(0, &microseconds) <= 0) return;
  // This very timer runs in the loop; the others are asked.
  if (!sequencer_->is_overdue() && !coordinator_->is_overdue()) {
    (void)::sd_notify(0, "WATCHDOG=1");
  }
  loop_.at(clock_.now() + std::chrono::microseconds(microseconds / 2), [this] { keep_watchdog(); });
}

void Daemon::show_status() {
  end_if_stuck();
  // Not while anything may be frozen: systemd's journal may be what is frozen.
  if (core::is_open(coordinator_->state())) return;
  std::string status = "STATUS=" + coordinator_->summary();
  if (status == shown_status_) return;
  (void)::sd_notify(0, status.c_str());
  shown_status_ = std::move(status);
}

void Daemon::begin_stop() {
  if (std::exchange(stopping_, true)) return;
  (void)::sd_notify(0, "STOPPING=1");
  sequencer_->stop([this] {
    if (coordinator_->must_end()) end_now();
    loop_.quit(0);
  });
  loop_.at(clock_.now() + config_.thaw_timeout + kStopGrace, [] {
    // Sessions that end hold no lock: better than waiting for what does not come back.
    ::_exit(1);
  });
}

void Daemon::end_if_stuck() {
  // Not before whoever asked has been told what came of it.
  if (!coordinator_->must_end() || sequencer_->owes_answer()) return;
  if (std::exchange(stopping_, true)) return;
  end_now();
}

void Daemon::end_now() {
  log_.critical("a plugin does not come back: ending, so that its locks end with its sessions");
  ring_->flush_held();
  // No destructor runs: one of them would wait for that very thread.
  ::_exit(1);
}

int Daemon::run() {
  return loop_.run();
}

}  // namespace holdfast::daemon
