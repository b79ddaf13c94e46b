// SPDX-License-Identifier: MIT
//
// Files of an archive, put back into the container while it runs:
//
//   unpack    beside the root, where the container cannot reach; it runs meanwhile
//   freeze    all of its processes stand still, with a guardian as in a backup
//   copy      into a new directory in its root, sharing the data (reflink)
//   exchange  each path with what is there, in one step; all of them, or none
//   thaw      it goes on; what was there is removed
//
// What a process had open it still has: the file of before.
//
// Threads: run() on one thread; `stop` ends it at the next safe point.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "base/process_runner.h"
#include "config/settings.h"
#include "container/manager.h"
#include "run/observer.h"
#include "snapshot/journal.h"

namespace holdfast::host::run {

struct RunningRestoreRequest {
  const config::Settings& settings;
  // Sound, its checksum compared.
  std::string archive;
  std::string compression;
  // As a user gives them; empty: everything at the top of the archive but what the container has
  // something mounted at.
  std::vector<std::string> paths;
};

class RunningRestore {
 public:
  RunningRestore(RunningRestoreRequest request, base::ProcessRunner& processes, Observer& observer,
                 std::stop_token stop);

  // The paths in the container that are those of the backup now. kLocked, kBusy, kRefused, …
  [[nodiscard]] base::Result<std::vector<std::string>> run();

 private:
  [[nodiscard]] base::Result<void> find();
  [[nodiscard]] base::Result<void> check_mounts();
  [[nodiscard]] base::Result<void> unpack();
  [[nodiscard]] base::Result<void> list_whole();
  [[nodiscard]] base::Result<void> put_in_place();
  [[nodiscard]] base::Result<void> copy_and_exchange();
  [[nodiscard]] base::Result<std::string> command(std::vector<std::string> argv);

  RunningRestoreRequest request_;
  const config::Settings& settings_;
  base::ProcessRunner& processes_;
  Observer& observer_;
  std::stop_token stop_;
  snapshot::JournalFile journal_file_;
  snapshot::Journal journal_;
  container::Found found_;
  std::string unpacked_;
  std::string tree_;  // its name in the root
  std::vector<std::string> paths_;
  std::vector<std::string> mounts_;
};

}  // namespace holdfast::host::run
