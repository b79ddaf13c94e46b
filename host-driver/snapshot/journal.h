// SPDX-License-Identifier: MIT
//
// What a run is about to leave in QEMU and on disk, written down before it does: the way back after
// a crash. One file per machine in the state directory, which belongs to root: a repository is not
// trusted with paths that will be unlinked.
//
// Threads: one at a time, under the machine's lock. Errors: kCorrupt for a journal that is none.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_codec.h"
#include "base/result.h"

namespace holdfast::host::snapshot {

struct JournalDisk {
  std::string name;
  std::string overlay_node;
  std::string overlay_path;
  std::string base_node;
  std::string base_path;
  // The guest's writes are back in the base: the overlay holds nothing that is not there too.
  bool committed = false;
};

// Of a method whose instant is taken below QEMU: `path` is made of `source`, and is to go again.
struct JournalSnapshot {
  std::string source;
  std::string path;
};

struct Journal {
  std::string run;
  std::string method;
  // Set before the freeze: from here on an overlay may hold writes of the guest.
  bool may_be_taken = false;
  std::vector<JournalDisk> disks;
  std::vector<JournalSnapshot> snapshots = {};
  // The machine ran, and is stopped for the instant: one that is found paused is to go on.
  bool resume = false;
  // Of a container: the directory of its control group, which may be frozen as long as this is set.
  std::string cgroup = {};
  // Of a restore into it: a directory in its root that is to go.
  std::string tree = {};
};

[[nodiscard]] base::Json to_json(const Journal& journal);
[[nodiscard]] base::Result<Journal> parse_journal(std::string_view text);

class JournalFile {
 public:
  explicit JournalFile(std::string path) : path_(std::move(path)) {}

  [[nodiscard]] const std::string& path() const { return path_; }
  // Nothing if there is none: the last run left nothing.
  [[nodiscard]] base::Result<std::optional<Journal>> load() const;
  // Durable when it returns.
  [[nodiscard]] base::Result<void> save(const Journal& journal) const;
  [[nodiscard]] base::Result<void> remove() const;

 private:
  std::string path_;
};

}  // namespace holdfast::host::snapshot
