// SPDX-License-Identifier: MIT
//
// What a run has set in QEMU for the sake of the machine's memory, and that the machine stands
// still for it: the way back when the run is killed. One file per machine in the state directory,
// beside the journal, which knows of the disks alone. The guardian reads it too, and takes it away
// with what it tells of.
//
// It need not outlast a crash of the host, which ends QEMU as well.
//
// Threads: one at a time. Errors: kCorrupt for a note that is none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json_codec.h"
#include "base/result.h"

namespace holdfast::host::snapshot {

struct MemoryNote {
  std::string run;
  // What QEMU writes the memory into.
  std::string file;
  bool live = false;
  // It ran, and is stopped for its memory: one that is found standing still is to go on.
  bool resume = false;
  // As they were before: QEMU's limit, in bytes per second, and its capabilities.
  std::int64_t max_bandwidth = 0;
  bool background_snapshot = false;
  bool events = false;

  bool operator==(const MemoryNote&) const = default;
};

[[nodiscard]] base::Json to_json(const MemoryNote& note);
[[nodiscard]] base::Result<MemoryNote> parse_memory_note(std::string_view text);

class MemoryNoteFile {
 public:
  // Of the machine with this journal: "web1.json" -> "web1.memory".
  explicit MemoryNoteFile(const std::string& journal_path);

  [[nodiscard]] const std::string& path() const { return path_; }
  // Nothing if there is none.
  [[nodiscard]] base::Result<std::optional<MemoryNote>> load() const;
  [[nodiscard]] base::Result<void> save(const MemoryNote& note) const;
  [[nodiscard]] base::Result<void> remove() const;

 private:
  std::string path_;
};

}  // namespace holdfast::host::snapshot
