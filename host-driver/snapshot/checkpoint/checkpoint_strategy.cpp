// SPDX-License-Identifier: MIT
#include "snapshot/checkpoint/checkpoint_strategy.h"

#include <fcntl.h>

#include <cerrno>
#include <chrono>

#include "base/text.h"
#include "snapshot/checkpoint/release.h"
#include "snapshot/machine_memory.h"
#include "snapshot/room.h"
#include "snapshot/standstill.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Millis;
using base::Result;

namespace {

constexpr Millis kCommandTime{15000};

Deadline command_time() {
  return Deadline::in(kCommandTime);
}

}  // namespace

CheckpointStrategy::CheckpointStrategy(const StrategyContext& context)
    : Strategy(context),
      disks_(context),
      migration_(context.monitor),
      note_file_(context.journal.path()) {}

// Live it is written behind the machine's back.
Millis CheckpointStrategy::patience() const {
  return kept_.live ? Millis{0} : context().memory_timeout;
}

Result<void> CheckpointStrategy::check_machine() {
  const auto running = is_running(context().monitor, command_time());
  if (!running) return running.error();
  if (!*running) {
    // QEMU lets a machine run, or gives its images up, when its memory has been saved.
    return Error(ErrorCode::kRefused,
                 "the machine does not run, and would not be left as it is by saving its memory")
        .with_hint("let it go on; or 'method = overlay', which keeps the disks alone");
  }
  if (auto able = migration_.check(command_time()); !able) return able;
  kept_.live = false;
  kept_.stopped_because = "as 'memory = stopped' says";
  if (context().memory == "stopped") return {};
  auto live = migration_.check_live(command_time());
  if (live) {
    kept_.live = true;
    kept_.stopped_because.clear();
    return {};
  }
  if (context().memory == "live" || live.error().code() != ErrorCode::kRefused) {
    return base::wrap(std::move(live).error(), "unable to save the memory live")
        .with_hint("'memory = auto' lets the machine stand still for it");
  }
  const Error* said = &live.error();
  while (said->cause() != nullptr)
    said = said->cause();
  kept_.stopped_because = said->message();
  return {};
}

Result<std::vector<DiskPlan>> CheckpointStrategy::check(const qmp::BlockGraph& graph,
                                                        const Parent& parent) {
  if (auto able = check_machine(); !able) return std::move(able).error();
  const auto bytes = memory_of(context().monitor, command_time());
  if (!bytes) return bytes.error();
  kept_.ram_bytes = *bytes;
  room_ = room_for_memory(*bytes);
  return disks_.check(graph, parent);
}

Result<void> CheckpointStrategy::prepare(const std::string& directory, Deadline deadline,
                                         const std::stop_token& stop) {
  if (auto ready = disks_.prepare(directory, deadline, stop); !ready) return ready;
  kept_.file = kMemoryFile;
  const std::string path = directory + "/" + kept_.file;
  file_ = base::UniqueFd(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file_.valid()) return base::errno_error(errno, "unable to make '" + path + "'");
  // A machine whose memory is saved live does not bear that there is none left (write_tracking.h).
  if (auto reserved = reserve_room(path, room_); !reserved) return reserved;
  MemoryNote note{.run = context().run, .file = path, .live = kept_.live};
  if (auto read = migration_.read_settings(note, deadline); !read) return read;
  if (auto saved = note_file_.save(note); !saved) return saved;
  note_ = note;
  return migration_.set_up(kept_.live, deadline);
}

Result<void> CheckpointStrategy::take(Deadline deadline) {
  // Somebody may have paused it since.
  const auto running = is_running(context().monitor, deadline);
  if (!running) return running.error();
  if (!*running) return Error(ErrorCode::kBusy, "the machine was paused after this run had begun");
  note_->resume = true;
  if (auto saved = note_file_.save(*note_); !saved) return saved;
  stopped_ = true;
  const auto begin = std::chrono::steady_clock::now();
  auto taken = take_both(deadline);
  // Whatever became of it; and if it fails, settle() tries again, and whoever thaws in our place.
  auto resumed = go_on(taken.has_value());
  kept_.standstill = std::chrono::steady_clock::now() - begin;
  if (resumed) return taken;
  Error error = base::wrap(std::move(resumed).error(), "unable to let the machine go on");
  if (!taken) return std::move(taken).error().also(std::move(error));
  return error;
}

Result<void> CheckpointStrategy::take_both(Deadline deadline) {
  if (auto stopped = stand_still(context().monitor, deadline); !stopped) return stopped;
  if (auto taken = disks_.take(deadline); !taken) return taken;
  if (auto begun = migration_.start(std::move(file_), deadline); !begun) return begun;
  if (kept_.live) return migration_.await_running(deadline);
  return migration_.await_written(deadline, context().memory_timeout, {}, {});
}

// After one that has begun well, live, it goes on being written.
Result<void> CheckpointStrategy::go_on(bool well) {
  std::optional<Error> problem;
  if (!well && !kept_.live) {
    auto ended = migration_.end(*note_, command_time());
    if (!ended) problem = std::move(ended).error();
  }
  if (auto resumed = let_run(context().monitor, command_time()); !resumed) {
    return std::move(resumed).error();
  }
  stopped_ = false;
  // Whoever pauses the machine from now on wants it paused, even if this run is killed.
  note_->resume = false;
  if (auto saved = note_file_.save(*note_); !saved) return saved;
  if (!well && kept_.live) {
    auto ended = migration_.end(*note_, command_time());
    if (!ended) problem = std::move(ended).error();
  }
  if (problem) return std::move(*problem);
  return {};
}

Result<void> CheckpointStrategy::copy(std::size_t index, Deadline deadline,
                                      const std::stop_token& stop, const CopyProgress& progress) {
  return disks_.copy(index, deadline, stop, progress);
}

Result<std::optional<KeptMemory>> CheckpointStrategy::memory(Deadline deadline,
                                                             const std::stop_token& stop,
                                                             const CopyProgress& progress) {
  auto written = migration_.await_written(deadline, context().memory_timeout, stop, progress);
  // At once: the guest may hang until then. Where nothing has gone wrong it is written to its end,
  // though for nobody, which settle() waits for.
  if (!written && kept_.live && written.error().code() != ErrorCode::kCancelled) {
    if (auto freed = migration_.set_free(); !freed) {
      return std::move(written).error().also(std::move(freed).error());
    }
  }
  if (!written) return std::move(written).error();
  if (auto released = release_room(note_->file); !released) return std::move(released).error();
  return std::optional<KeptMemory>(kept_);
}

Result<void> CheckpointStrategy::put_back(Deadline deadline) {
  if (!note_) return {};
  if (stopped_) {
    if (auto resumed = go_on(false); !resumed) return resumed;
  }
  if (auto ended = migration_.end(*note_, deadline); !ended) return std::move(ended).error();
  if (auto reset = migration_.reset(*note_, command_time()); !reset) return reset;
  note_.reset();
  return note_file_.remove();
}

Result<void> CheckpointStrategy::settle(Deadline deadline, const std::stop_token& stop) {
  auto back = put_back(deadline);
  auto settled = disks_.settle(deadline, stop);
  if (back) return settled;
  Error error = base::wrap(std::move(back).error(), "unable to set QEMU as it was");
  return settled ? error : std::move(error).also(std::move(settled).error());
}

// The disks are the method overlay's to recover.
Result<std::vector<std::string>> CheckpointStrategy::recover(Deadline deadline,
                                                             const std::stop_token& /*stop*/) {
  return release_machine(context().monitor, note_file_, Wait::kYes, deadline);
}

}  // namespace holdfast::host::snapshot
