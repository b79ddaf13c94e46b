// SPDX-License-Identifier: MIT
#include "libvirt/overlay_settler.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/text.h"
#include "snapshot/overlay_files.h"

namespace holdfast::host::libvirt {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;
using snapshot::Journal;
using snapshot::JournalDisk;

namespace {

// Libvirt itself waits for up to 30 s for another call's end.
constexpr base::Millis kCommandTime{40000};
constexpr base::Millis kAskAgain{1000};
constexpr std::string_view kActiveCommit = "active-commit";
// Where an overlay is moved to before it goes.
constexpr std::string_view kAside = ".removing";

Deadline command_time() {
  return Deadline::in(kCommandTime);
}

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

Result<void> move(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return {};
  return base::errno_error(errno, "unable to rename " + base::in_quotes(from));
}

bool is_on_top(const DomainDisks& now, const JournalDisk& disk) {
  const DomainDisk* const there = now.find(disk.name);
  return now.active && there != nullptr && there->top() == disk.overlay_path;
}

// An interrupted removal is undone first: the state is one that the rest knows.
Result<void> undo_moves(const Journal& journal) {
  for (const JournalDisk& disk : journal.disks) {
    const std::string aside = disk.overlay_path + std::string(kAside);
    if (!exists(aside) || exists(disk.overlay_path)) continue;
    if (auto moved = move(aside, disk.overlay_path); !moved) return moved;
  }
  return {};
}

Result<void> must_not_be_off(const Journal& journal, const DomainDisks& now) {
  if (now.active) return {};
  for (const JournalDisk& disk : journal.disks) {
    if (!now.inactive_paths.contains(disk.overlay_path)) continue;
    return Error(ErrorCode::kRefused, "the machine is shut off, and its disk '" + disk.name +
                                          "' is on the overlay " +
                                          base::in_quotes(disk.overlay_path))
        .with_hint("start it: it goes on with the overlay; then 'holdfast recover' commits it");
  }
  return {};
}

}  // namespace

Result<void> OverlaySettler::start_commit(const JournalDisk& disk, const DomainDisk& now) {
  if (now.job == kActiveCommit) return {};
  if (!now.job.empty()) {
    return Error(ErrorCode::kBusy,
                 "a job of type '" + base::printable(now.job, 40) + "' is at work on the disk");
  }
  if (now.chain.size() < 2 || now.chain[1].path != disk.base_path) {
    return Error(ErrorCode::kRefused,
                 base::in_quotes(disk.base_path) + " is not what stands below the overlay");
  }
  auto started = bridge_.execute("commit-disk", {{"target", disk.name}}, command_time());
  if (!started) return std::move(started).error();
  return {};
}

Result<void> OverlaySettler::finish_commit(Journal& journal, JournalDisk& disk, Deadline deadline,
                                           const std::stop_token& stop) {
  for (;;) {
    const auto now = read_disks(bridge_, command_time());
    if (!now) return now.error();
    const DomainDisk* const there = now->find(disk.name);
    if (there == nullptr) return Error(ErrorCode::kNotFound, "the disk is gone");
    if (!is_on_top(*now, disk)) return must_not_be_off(journal, *now);
    if (there->job.empty()) {
      return Error(ErrorCode::kRefused, "the block commit ended without bringing it back")
          .with_hint("libvirt's log says why");
    }
    if (there->job_ready) {
      // From here on the image below has everything that the overlay has, until the pivot and
      // after it. Should the job be given up instead, the overlay stays on top, which is looked at
      // first.
      disk.committed = true;
      if (auto saved = file_.save(journal); !saved) return saved;
      auto done = bridge_.execute("pivot-disk", {{"target", disk.name}}, deadline, stop);
      if (!done) return std::move(done).error();
      continue;
    }
    if (deadline.passed()) return Error(ErrorCode::kTimedOut, "the block commit still runs");
    // Any event will do: the state is asked for again, at the latest after kAskAgain.
    const auto event = bridge_.next_event(deadline.earlier_of(Deadline::in(kAskAgain)), stop);
    if (!event && event.error().code() != ErrorCode::kTimedOut) return event.error();
  }
}

Result<void> OverlaySettler::remove_overlay(const Journal& journal, const JournalDisk& disk,
                                            const DomainDisks& now) {
  const std::string& path = disk.overlay_path;
  if (!exists(path)) return {};
  if (now.uses(path)) {
    return Error(ErrorCode::kRefused, "unable to remove the overlay " + base::in_quotes(path) +
                                          ": the machine needs it");
  }
  if (!disk.committed && journal.may_be_taken &&
      !images_.is_untouched(path, command_time()).value_or(false)) {
    return Error(ErrorCode::kRefused, "the overlay " + base::in_quotes(path) +
                                          " of an interrupted run is not in use any more")
        .with_hint(
            "the machine was started without it, and it holds what the guest wrote last: with "
            "the machine off, 'qemu-img commit' it into " +
            base::in_quotes(disk.base_path) + ", or put it away; then remove " +
            base::in_quotes(file_.path()));
  }
  const std::string aside = path + std::string(kAside);
  if (auto moved = move(path, aside); !moved) return moved;
  const auto after = read_disks(bridge_, command_time());
  if (!after || after->uses(path)) {
    Error error = after ? Error(ErrorCode::kBusy, "the overlay " + base::in_quotes(path) +
                                                      " was put on top of its disk just now")
                              .with_hint("again: 'holdfast recover' or the next backup")
                        : after.error();
    if (auto back = move(aside, path); !back) return std::move(error).also(std::move(back).error());
    return error;
  }
  if (::unlink(aside.c_str()) != 0) {
    return base::errno_error(errno, "unable to remove the overlay " + base::in_quotes(aside));
  }
  return {};
}

Result<void> OverlaySettler::settle(Journal& journal, Deadline deadline,
                                    const std::stop_token& stop) {
  auto now = read_disks(bridge_, command_time());
  if (!now) return std::move(now).error();
  if (auto undone = undo_moves(journal); !undone) return undone;
  if (auto on = must_not_be_off(journal, *now); !on) return on;
  std::optional<Error> first_error;
  const auto note = [&](Error error) {
    first_error = first_error ? std::move(*first_error).also(std::move(error)) : std::move(error);
  };
  // All commits run side by side; each overlay that waits goes on growing.
  std::vector<JournalDisk*> committing;
  for (JournalDisk& disk : journal.disks) {
    if (!is_on_top(*now, disk)) continue;
    if (auto started = start_commit(disk, *now->find(disk.name)); !started) {
      note(snapshot::not_committed(disk.name, std::move(started).error()));
    } else {
      committing.push_back(&disk);
    }
  }
  for (JournalDisk* disk : committing) {
    auto finished = finish_commit(journal, *disk, deadline, stop);
    if (!finished) note(snapshot::not_committed(disk->name, std::move(finished).error()));
  }
  now = read_disks(bridge_, command_time());
  if (!now) return std::move(now).error();
  for (const JournalDisk& disk : journal.disks) {
    if (is_on_top(*now, disk)) continue;
    if (auto removed = remove_overlay(journal, disk, *now); !removed) {
      note(std::move(removed).error());
    }
  }
  if (first_error) return std::move(*first_error);
  return file_.remove();
}

Result<std::vector<std::string>> OverlaySettler::recover(Deadline deadline,
                                                         const std::stop_token& stop) {
  std::vector<std::string> done;
  auto loaded = file_.load();
  if (!loaded) return std::move(loaded).error();
  if (*loaded && (*loaded)->method == "overlay") {
    Journal& journal = **loaded;
    if (auto settled = settle(journal, deadline, stop); !settled) return std::move(settled).error();
    done.push_back("finished the interrupted run '" + base::printable(journal.run, 40) + "'");
  }
  const auto now = read_disks(bridge_, command_time());
  if (!now) return now.error();
  Journal strays{"strays", "overlay", true, {}};
  for (const DomainDisk& disk : now->disks) {
    if (!snapshot::is_overlay_path(disk.top()) || disk.chain.size() < 2) continue;
    JournalDisk stray;
    stray.name = disk.target;
    stray.overlay_path = disk.top();
    stray.base_path = disk.chain[1].path;
    strays.disks.push_back(std::move(stray));
  }
  if (strays.disks.empty()) return done;
  if (auto saved = file_.save(strays); !saved) return std::move(saved).error();
  if (auto settled = settle(strays, deadline, stop); !settled) return std::move(settled).error();
  for (const JournalDisk& disk : strays.disks)
    done.push_back("took away the overlay of disk '" + base::printable(disk.name, 64) + "'");
  return done;
}

}  // namespace holdfast::host::libvirt
