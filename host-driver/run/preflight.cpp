// SPDX-License-Identifier: MIT
//
// Everything that can be done before the freeze is done here.
#include "base/text.h"
#include "qga/fsfreeze.h"
#include "qmp/schema.h"
#include "repository/paths.h"
#include "repository/remembered.h"
#include "run/backup_run.h"
#include "run/state.h"
#include "snapshot/room.h"

namespace holdfast::host::run {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;
using repository::Level;

namespace {

// Beside the data: qcow2 tables, manifest.
constexpr std::uint64_t kSpaceMargin = std::uint64_t{16} << 20U;

}  // namespace

Result<void> BackupRun::preflight() {
  observer_.step("preflight");
  if (auto locked = take_locks(); !locked) return locked;
  auto version = images_.version(Deadline::in(settings_.qmp_timeout));
  if (!version) return std::move(version).error();
  qemu_img_version_ = std::move(*version);

  auto monitor = qmp::Client::connect(monitor_endpoint(settings_), monitor_time(), stop_);
  if (!monitor) return std::move(monitor).error();
  monitor_ = std::move(*monitor);
  if (auto runs = check_running(settings_, *monitor_); !runs) return runs;
  if (auto able = check_compression(); !able) return able;

  auto id = repository::make_backup_id(begin_);
  if (!id) return std::move(id).error();
  const std::string tag = settings_.incremental ? repository_->tag() : std::string();
  images_.limit_rate(settings_.rate_limit);
  const snapshot::StrategyContext context{.monitor = *monitor_,
                                          .images = images_,
                                          .journal = journal_,
                                          .vm = settings_.vm,
                                          .run = id->substr(id->size() - 8),
                                          .overlay_directory = settings_.overlay_directory,
                                          .overlay_reserve = settings_.overlay_reserve,
                                          .tag = tag,
                                          .backup_id = *id,
                                          .rate_limit = settings_.rate_limit};
  auto strategy = make_strategy(settings_, settings_.method, context);
  if (!strategy) return std::move(strategy).error();

  const auto leftover = journal_.load();
  if (!leftover) return leftover.error();
  if (auto reached = reach_agent(leftover->has_value()); !reached) return reached;
  auto recovered =
      recover_leftovers(settings_, context, Deadline::in(settings_.settle_timeout), stop_);
  if (!recovered) {
    const ErrorCode code = recovered.error().code();
    return Error(code, "unable to clear up after an interrupted run")
        .caused_by(std::move(recovered).error());
  }
  for (const std::string& line : *recovered)
    observer_.note(line);

  // It may take minutes, and the machine go on meanwhile: what is true of its disks is asked after.
  if (request_.before_it_begins) {
    if (auto ready = request_.before_it_begins(*id); !ready) return ready;
    if (stop_.stop_requested()) return Error(ErrorCode::kCancelled, "interrupted");
  }
  // What it frees need not be copied, nor is room wanted for it.
  if (auto trimmed = trim(); !trimmed) return trimmed;
  if (auto looked = look_at_disks(); !looked) return looked;
  find_parent(*id);
  // Else the bitmaps of a backup that is merely out of sight would go.
  if (auto there = repository_->still_there(); !there) return there;
  keep_bitmaps(settings_.incremental ? latest_id_ : std::string());
  auto plan = (*strategy)->check(graph_, parent_);
  if (!plan) return std::move(plan).error();
  plan_ = std::move(*plan);
  tell_plan();
  if (auto enough = check_space(); !enough) return enough;
  auto directory = repository_->make_vm_directory(settings_.vm);
  if (!directory) return std::move(directory).error();
  auto draft = repository::Draft::create(*directory, *id);
  if (!draft) return std::move(draft).error();
  draft_.emplace(std::move(*draft));

  strategy_ = std::move(*strategy);
  to_settle_ = true;
  return strategy_->prepare(draft_->directory(), Deadline::in(settings_.qmp_timeout * 2), stop_);
}

Result<void> BackupRun::take_locks() {
  auto machine = lock_machine(settings_);
  if (!machine) return std::move(machine).error();
  machine_lock_ = std::move(*machine);
  auto opened = open_repository();
  if (!opened) return std::move(opened).error();
  repository_ = std::move(*opened);
  auto directory = repository_->make_vm_directory(settings_.vm);
  if (!directory) return std::move(directory).error();
  // A second host, or another state directory, may use the same repository.
  auto locked =
      repository::Lock::acquire(*directory + "/.lock", "'" + settings_.vm + "' in this repository");
  if (!locked) return std::move(locked).error();
  repository_lock_ = std::move(*locked);
  auto removed = repository_->remove_incomplete(settings_.vm);
  if (!removed) return std::move(removed).error();
  for (const std::string& name : *removed)
    observer_.note("removed the unfinished '" + base::printable(name) + "'");
  return {};
}

Result<repository::Repository> BackupRun::open_repository() const {
  const std::string& path = settings_.repository;
  if (request_.new_repository || !repository::is_remembered(settings_.state_directory, path)) {
    return repository::Repository::open_or_create(path);
  }
  auto opened = repository::Repository::open(path);
  if (opened) return opened;
  return repository::gone(path, std::move(opened).error());
}

// Full copies are made by qemu-img, increments and the method `backup` by the machine's own QEMU.
Result<void> BackupRun::check_compression() {
  if (settings_.compress == name_of(image::Compression::kNone)) return {};
  images_.compress(image::Compression::kZstd);
  if (auto able = images_.check_compression(monitor_time()); !able) return able;
  if (is_by_libvirt(settings_)) return {};
  return qmp::require_compression(*monitor_, settings_.compress, monitor_time());
}

// Why an agent may not answer, where the monitor knows more than the agent's silence says.
Error BackupRun::unanswered(Error error) {
  const auto status = monitor_->execute("query-status", base::Json::object(), monitor_time());
  if (!status || base::string_member(*status, "status").value_or("") != "paused") return error;
  const ErrorCode code = error.code();
  return Error(code, "the machine is paused, and its guest agent with it")
      .caused_by(std::move(error))
      .with_hint("resume it; or, since it writes nothing meanwhile, use --require=crash");
}

// `left_by_us`: an earlier run of ours was interrupted, so a frozen guest may be its doing.
Result<void> BackupRun::reach_agent(bool left_by_us) {
  const auto do_without = [&](Error error) -> Result<void> {
    if (required() > Level::kCrash) return unanswered(std::move(error));
    evidence_.not_tried = error.text();
    agent_.reset();
    return {};
  };
  const wire::Endpoint endpoint = agent_endpoint(settings_);
  if (endpoint.empty()) {
    return do_without(
        Error(ErrorCode::kConfiguration, "no agent socket is configured for '" + settings_.vm + "'")
            .with_hint("set 'agent' in its file in vms.d, or --agent PATH"));
  }
  auto agent = qga::Agent::connect(endpoint, agent_time());
  if (!agent) return do_without(std::move(agent).error());
  agent_ = std::move(*agent);
  if (auto in_step = agent_->sync(agent_time(), stop_); !in_step) {
    return do_without(std::move(in_step).error());
  }
  const auto state = qga::freeze_state(*agent_, agent_time(), stop_);
  if (!state) return do_without(state.error());
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
  if (!version) return do_without(std::move(version).error());
  evidence_.agent_version = std::move(*version);
  evidence_.before =
      earlier_record(agent_->read_file(settings_.guest_record, kRecordLimit, agent_time(), stop_));
  if (stop_.stop_requested()) return Error(ErrorCode::kCancelled, "interrupted");
  return {};
}

Result<void> BackupRun::look_at_disks() {
  auto graph = read_graph(settings_, *monitor_);
  if (!graph) return std::move(graph).error();
  graph_ = std::move(*graph);
  for (const qmp::SkippedDevice& device : graph_.skipped)
    observer_.note("leaving out device '" + device.name + "': " + device.reason);
  auto definition = read_definition(settings_, *monitor_);
  if (!definition) return std::move(definition).error();
  definition_ = std::move(*definition);
  for (const std::string& line : definition_.lacking)
    observer_.note(line);
  return {};
}

Result<void> BackupRun::check_space() {
  std::uint64_t needed = kSpaceMargin;
  for (std::size_t i = 0; i < graph_.disks.size(); ++i)
    needed += snapshot::data_to_copy(graph_.disks[i], plan_[i]);
  const auto free = repository::free_space(repository_->path());
  if (!free) return free.error();
  if (*free >= needed) return {};
  return Error(ErrorCode::kNoSpace, "unable to back up into '" +
                                        base::printable(repository_->path()) +
                                        "': " + base::format_bytes(*free) + " free, " +
                                        base::format_bytes(needed) + " may be needed");
}

}  // namespace holdfast::host::run
