// SPDX-License-Identifier: MIT
#include "run/machine_run.h"

#include "qga/fsfreeze.h"
#include "run/await_record.h"
#include "run/channel.h"
#include "run/points.h"
#include "run/state.h"
#include "snapshot/checkpoint/release.h"
#include "snapshot/standstill.h"

namespace holdfast::host::run {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Millis;
using base::Result;
using repository::Level;

namespace {

// For the answer that lets the machine go on, on a busy host.
constexpr Millis kStoppedMargin{20000};

}  // namespace

MachineRun::MachineRun(const config::Settings& settings, Observer& observer, std::stop_token stop)
    : settings_(settings),
      observer_(observer),
      stop_(std::move(stop)),
      journal_(journal_path(settings)) {}

Level MachineRun::required() const {
  return repository::level_named(settings_.require).value();
}

Deadline MachineRun::monitor_time() const {
  return Deadline::in(settings_.qmp_timeout);
}

Deadline MachineRun::agent_time() const {
  return Deadline::in(settings_.agent_timeout);
}

Result<void> MachineRun::lock() {
  auto machine = lock_machine(settings_);
  if (!machine) return std::move(machine).error();
  lock_ = std::move(*machine);
  return {};
}

Result<void> MachineRun::connect() {
  auto monitor = qmp::Client::connect(monitor_endpoint(settings_), monitor_time(), stop_);
  if (!monitor) return std::move(monitor).error();
  monitor_ = std::move(*monitor);
  return check_running(settings_, *monitor_);
}

Result<void> MachineRun::recover(const snapshot::StrategyContext& context) {
  const auto leftover = journal_.load();
  if (!leftover) return leftover.error();
  auto released = release_machine(*monitor_, snapshot::MemoryNoteFile(journal_.path()),
                                  snapshot::Wait::kYes, Deadline::in(settings_.settle_timeout));
  if (!released) return std::move(released).error();
  for (const std::string& line : *released)
    observer_.note(line + ", after an interrupted run");
  if (leftover->has_value() && (*leftover)->resume) {
    // Before its agent is asked for anything.
    const auto gone_on = snapshot::go_on(*monitor_, monitor_time());
    if (!gone_on) return gone_on.error();
    if (*gone_on) observer_.note("let the machine go on, which an interrupted run had stopped");
  }
  const auto points = points_of(settings_).load();
  if (!points) return points.error();
  if (points->revert && points->revert->resume) {
    // Likewise: a machine that went back to a point with memory may stand still, or be frozen
    // there.
    auto finished = finish_points(settings_, context.images, &*monitor_);
    if (!finished) return std::move(finished).error();
    for (const std::string& line : *finished)
      observer_.note(line);
  }
  const bool left_by_us = leftover->has_value() || points->unfinished();
  if (auto reached = reach_agent(left_by_us); !reached) return reached;
  auto recovered =
      recover_leftovers(settings_, context, Deadline::in(settings_.settle_timeout), stop_);
  if (!recovered) {
    const ErrorCode code = recovered.error().code();
    return Error(code, "unable to clear up after an interrupted run")
        .caused_by(std::move(recovered).error());
  }
  for (const std::string& line : *recovered)
    observer_.note(line);
  // Disks of two times are no machine that could be kept.
  auto finished = finish_points(settings_, context.images, &*monitor_);
  if (!finished) return std::move(finished).error();
  for (const std::string& line : *finished)
    observer_.note(line);
  return {};
}

Result<void> MachineRun::look_at_disks() {
  auto graph = read_graph(settings_, *monitor_);
  if (!graph) return std::move(graph).error();
  graph_ = std::move(*graph);
  for (const qmp::SkippedDevice& device : graph_.skipped)
    observer_.note("leaving out device '" + device.name + "': " + device.reason);
  return {};
}

Result<void> MachineRun::do_without_agent(Error error) {
  if (required() > Level::kCrash) return unanswered(std::move(error));
  evidence_.not_tried = error.text();
  agent_.reset();
  return {};
}

// Why an agent may not answer, where the monitor knows more than the agent's silence says.
Error MachineRun::unanswered(Error error) {
  const auto status = monitor_->execute("query-status", base::Json::object(), monitor_time());
  if (!status || base::string_member(*status, "status").value_or("") != "paused") return error;
  const ErrorCode code = error.code();
  return Error(code, "the machine is paused, and its guest agent with it")
      .caused_by(std::move(error))
      .with_hint("resume it; or, since it writes nothing meanwhile, use --require=crash");
}

// `left_by_us`: an earlier run of ours was interrupted, so a frozen guest may be its doing.
Result<void> MachineRun::reach_agent(bool left_by_us) {
  const wire::Endpoint endpoint = agent_endpoint(settings_);
  if (endpoint.empty()) {
    return do_without_agent(
        Error(ErrorCode::kConfiguration, "no agent socket is configured for '" + settings_.vm + "'")
            .with_hint("set 'agent' in its file in vms.d, or --agent PATH"));
  }
  auto agent = qga::Agent::connect(endpoint, agent_time());
  if (!agent) return do_without_agent(std::move(agent).error());
  agent_ = std::move(*agent);
  if (auto in_step = agent_->sync(agent_time(), stop_); !in_step) {
    return do_without_agent(std::move(in_step).error());
  }
  const auto state = qga::freeze_state(*agent_, agent_time(), stop_);
  if (!state) return do_without_agent(state.error());
  if (*state == qga::FreezeState::kFrozen) {
    if (!left_by_us) {
      return Error(ErrorCode::kBusy, "the guest is frozen already, and not by a run of ours")
          .with_hint("if nobody else is at work on it: holdfast thaw " + settings_.vm);
    }
    auto thawed = qga::thaw_for_sure(agent_, endpoint, Deadline::in(settings_.thaw_timeout));
    if (!thawed) return thawed;
    observer_.note("thawed the guest, which an interrupted run had left frozen");
  }
  auto version = agent_->version(agent_time(), stop_);
  if (!version) return do_without_agent(std::move(version).error());
  evidence_.agent_version = std::move(*version);
  evidence_.before =
      earlier_record(agent_->read_file(settings_.guest_record, kRecordLimit, agent_time(), stop_));
  if (stop_.stop_requested()) return Error(ErrorCode::kCancelled, "interrupted");
  return {};
}

Result<void> MachineRun::start_guardian(const snapshot::Instant& instant) {
  auto guardian = Guardian::start({.vm = settings_.vm,
                                   .agent = agent_endpoint(settings_),
                                   .monitor = monitor_to_guard(instant),
                                   .note = snapshot::MemoryNoteFile(journal_.path())});
  if (!guardian) return std::move(guardian).error();
  guardian_.emplace(std::move(*guardian));
  return {};
}

Result<void> MachineRun::take_instant(snapshot::Instant& instant, Meeting* meeting) {
  WindowOutcome window;
  if (agent_) {
    observer_.step("freeze");
    if (!guardian_) {
      if (auto started = start_guardian(instant); !started) return started;
    }
    auto outcome = run_window(settings_, agent_, *guardian_, instant, meeting, stop_);
    // Where the thaw is its duty now, it goes on without us.
    guardian_.reset();
    if (!outcome) {
      guest_may_be_frozen_ = true;
      return std::move(outcome).error();
    }
    window = std::move(*outcome);
  }
  if (stop_.stop_requested()) return Error(ErrorCode::kCancelled, "interrupted");
  // Not frozen: only who asked for no more than an instant gets one.
  if (meeting == nullptr && !window.tried && required() == Level::kCrash) {
    auto taken = take_guarded(instant, std::move(window));
    if (!taken) return std::move(taken).error();
    window = std::move(*taken);
  }
  evidence_.window = std::move(window);
  if (evidence_.window.snapshot_error) {
    const ErrorCode code = evidence_.window.snapshot_error->code();
    return Error(code, "unable to take the snapshot").caused_by(*evidence_.window.snapshot_error);
  }
  return {};
}

// Empty: there will be nothing to let go on.
wire::Endpoint MachineRun::monitor_to_guard(const snapshot::Instant& instant) const {
  return instant.stops_machine() ? monitor_endpoint(settings_) : wire::Endpoint();
}

// Nothing is frozen, but the machine may be stopped for a moment.
Result<WindowOutcome> MachineRun::take_guarded(snapshot::Instant& instant, WindowOutcome before) {
  if (!instant.stops_machine()) return take_unfrozen(settings_, instant, std::move(before));
  auto guardian = Guardian::start({.vm = settings_.vm,
                                   .agent = {},
                                   .monitor = monitor_to_guard(instant),
                                   .note = snapshot::MemoryNoteFile(journal_.path())});
  if (!guardian) return std::move(guardian).error();
  if (auto armed =
          guardian->arm(settings_.snapshot_timeout * 2 + instant.patience() + kStoppedMargin);
      !armed) {
    return std::move(armed).error();
  }
  WindowOutcome window = take_unfrozen(settings_, instant, std::move(before));
  // What has failed may have been to let it go on; the guardian then sees to it.
  if (window.taken()) guardian->dismiss();
  return window;
}

Result<void> MachineRun::read_record() {
  if (!evidence_.window.attempted || !agent_) {
    evidence_.record_problem = "the agent is of no use";
    return {};
  }
  await_record(evidence_, stop_, [this] {
    return agent_->read_file(settings_.guest_record, kRecordLimit, agent_time(), stop_);
  });
  if (stop_.stop_requested()) return Error(ErrorCode::kCancelled, "interrupted");
  return {};
}

Result<void> MachineRun::judge() {
  verdict_ = decide_level(evidence_);
  if (verdict_.level >= required() && evidence_.window.taken()) return {};
  return below_required(verdict_, settings_.require);
}

}  // namespace holdfast::host::run
