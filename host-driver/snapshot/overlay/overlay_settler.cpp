// SPDX-License-Identifier: MIT
#include "snapshot/overlay/overlay_settler.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/text.h"
#include "snapshot/names.h"
#include "snapshot/overlay_files.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

constexpr base::Millis kCommandTime{15000};

Deadline command_time() {
  return Deadline::in(kCommandTime);
}

std::string job_of(const JournalDisk& disk) {
  return disk.overlay_node + "-commit";
}

}  // namespace

Result<OverlaySettler::State> OverlaySettler::look() {
  State state;
  auto nodes = qmp::read_nodes(monitor_, command_time());
  if (!nodes) return std::move(nodes).error();
  for (qmp::Node& node : *nodes)
    state.nodes.insert(std::move(node.name));
  auto devices = monitor_.execute("query-block", Json::object(), command_time());
  if (!devices) return std::move(devices).error();
  for (const Json& device : *devices) {
    const auto inserted = base::object_member(device, "inserted");
    if (!inserted) continue;
    state.roots.insert(base::string_member(**inserted, "node-name").value_or(""));
  }
  return state;
}

Result<void> OverlaySettler::start_commit(const JournalDisk& disk) {
  const auto job = qmp::find_job(monitor_, job_of(disk), command_time());
  if (!job) return job.error();
  // An interrupted run's job goes on by itself.
  if (*job && (*job)->status != "concluded") return {};
  if (*job) {
    if (auto dismissed = qmp::dismiss_job(monitor_, job_of(disk), command_time()); !dismissed) {
      return dismissed;
    }
  }
  // base-node, since the default is the last image of the chain, which may not be ours to write.
  auto started = monitor_.execute("block-commit",
                                  {{"job-id", job_of(disk)},
                                   {"device", disk.overlay_node},
                                   {"base-node", disk.base_node},
                                   {"auto-finalize", true},
                                   {"auto-dismiss", false}},
                                  command_time());
  if (!started) return std::move(started).error();
  return {};
}

Result<void> OverlaySettler::finish_commit(Journal& journal, JournalDisk& disk, Deadline deadline,
                                           const std::stop_token& stop) {
  const std::string id = job_of(disk);
  auto job = qmp::wait_for_job(monitor_, id, false, deadline, stop);
  if (!job) return std::move(job).error();
  if (job->status == "ready") {
    if (auto asked = qmp::complete_job(monitor_, id, command_time()); !asked) return asked;
    job = qmp::wait_for_job(monitor_, id, true, deadline, stop);
    if (!job) return std::move(job).error();
  }
  if (job->error) {
    (void)qmp::dismiss_job(monitor_, id, command_time());
    return Error(ErrorCode::kRefused, "block-commit: " + *job->error);
  }
  // Before the job goes: it is the proof until the journal is.
  disk.committed = true;
  if (auto saved = file_.save(journal); !saved) return saved;
  return qmp::dismiss_job(monitor_, id, command_time());
}

// Only a clear yes counts: an image that cannot be looked at may be in use.
bool OverlaySettler::is_untouched(const JournalDisk& disk) {
  return images_.is_untouched(disk.overlay_path, command_time()).value_or(false);
}

Result<void> OverlaySettler::remove_overlay(const Journal& journal, const JournalDisk& disk,
                                            const State& state) {
  const bool attached = state.nodes.contains(disk.overlay_node);
  if (!attached && !disk.committed && journal.may_be_taken &&
      ::access(disk.overlay_path.c_str(), F_OK) == 0 && !is_untouched(disk)) {
    return Error(ErrorCode::kRefused, "the overlay '" + base::printable(disk.overlay_path) +
                                          "' of an interrupted run is not attached any more")
        .with_hint(
            "the machine was restarted without it, and it holds what the guest wrote "
            "last: with the machine off, 'qemu-img commit' it into '" +
            base::printable(disk.base_path) + "', or put it away; then remove '" +
            base::printable(file_.path()) + "'");
  }
  if (attached) {
    auto deleted =
        monitor_.execute("blockdev-del", {{"node-name", disk.overlay_node}}, command_time());
    if (!deleted) return std::move(deleted).error();
  }
  if (::unlink(disk.overlay_path.c_str()) != 0 && errno != ENOENT) {
    return base::errno_error(
        errno, "unable to remove the overlay '" + base::printable(disk.overlay_path) + "'");
  }
  return {};
}

Result<void> OverlaySettler::settle(Journal& journal, Deadline deadline,
                                    const std::stop_token& stop) {
  auto state = look();
  if (!state) return std::move(state).error();
  // All commits run side by side; each overlay that waits goes on growing.
  std::vector<JournalDisk*> committing;
  std::optional<Error> first_error;
  const auto note = [&](Error error) {
    first_error = first_error ? std::move(*first_error).also(std::move(error)) : std::move(error);
  };
  for (JournalDisk& disk : journal.disks) {
    const bool on_top = state->roots.contains(disk.overlay_node);
    if (!on_top) {
      // Concluded but not yet written down: the run was killed between the two.
      const auto job = qmp::find_job(monitor_, job_of(disk), command_time());
      if (!job) return job.error();
      if (!*job) continue;
    }
    if (on_top) {
      if (auto started = start_commit(disk); !started) {
        note(not_committed(disk.name, std::move(started).error()));
        continue;
      }
    }
    committing.push_back(&disk);
  }
  for (JournalDisk* disk : committing) {
    auto finished = finish_commit(journal, *disk, deadline, stop);
    if (!finished) note(not_committed(disk->name, std::move(finished).error()));
  }
  state = look();
  if (!state) return std::move(state).error();
  for (const JournalDisk& disk : journal.disks) {
    if (state->roots.contains(disk.overlay_node)) continue;
    if (auto removed = remove_overlay(journal, disk, *state); !removed) {
      note(std::move(removed).error());
    }
  }
  if (first_error) return std::move(*first_error);
  return file_.remove();
}

Result<Journal> OverlaySettler::find_strays(const Journal& known) {
  Journal strays{"strays", "overlay", true, {}};
  auto nodes = qmp::read_nodes(monitor_, command_time());
  if (!nodes) return std::move(nodes).error();
  auto devices = monitor_.execute("query-block", Json::object(), command_time());
  if (!devices) return std::move(devices).error();
  for (const qmp::Node& node : *nodes) {
    const bool is_known =
        std::any_of(known.disks.begin(), known.disks.end(),
                    [&](const JournalDisk& disk) { return disk.overlay_node == node.name; });
    if (is_known || !node.name.starts_with(kNodePrefix) || !is_overlay_path(node.file)) continue;
    JournalDisk disk{node.name, node.name, node.file, {}, {}, false};
    for (const Json& device : *devices) {
      const auto inserted = base::object_member(device, "inserted");
      if (!inserted || base::string_member(**inserted, "node-name").value_or("") != node.name) {
        continue;
      }
      disk.base_path = base::string_member(**inserted, "backing_file").value_or("");
      for (const qmp::Node& candidate : *nodes) {
        if (candidate.file == disk.base_path &&
            (candidate.driver == "raw" || candidate.driver == "qcow2")) {
          disk.base_node = candidate.name;
        }
      }
      if (disk.base_node.empty()) {
        return Error(ErrorCode::kNotFound,
                     "unable to find the image below the overlay '" + node.name + "'");
      }
    }
    strays.disks.push_back(std::move(disk));
  }
  return strays;
}

Result<std::vector<std::string>> OverlaySettler::recover(Deadline deadline,
                                                         const std::stop_token& stop) {
  std::vector<std::string> done;
  auto loaded = file_.load();
  if (!loaded) return std::move(loaded).error();
  const Journal none;
  auto strays = find_strays(*loaded ? **loaded : none);
  if (!strays) return std::move(strays).error();
  if (*loaded) {
    Journal& journal = **loaded;
    if (auto settled = settle(journal, deadline, stop); !settled) return std::move(settled).error();
    done.push_back("finished the interrupted run '" + base::printable(journal.run, 40) + "'");
  }
  if (!strays->disks.empty()) {
    if (auto saved = file_.save(*strays); !saved) return std::move(saved).error();
    if (auto settled = settle(*strays, deadline, stop); !settled) {
      return std::move(settled).error();
    }
    for (const JournalDisk& disk : strays->disks)
      done.push_back("took away the overlay '" + disk.overlay_node + "'");
  }
  return done;
}

}  // namespace holdfast::host::snapshot
