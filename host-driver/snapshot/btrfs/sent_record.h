// SPDX-License-Identifier: MIT
//
// Which snapshots a machine's last `btrfs send` went out from, and what was received: both are
// kept, since the next one carries only what differs from them. One file per machine in the state
// directory: what will be deleted is named there, and not in a repository.
//
// Threads: one at a time, under the machine's lock. Errors: kCorrupt for a file that is none.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace holdfast::host::snapshot {

// Absolute paths of subvolumes: whose snapshot it is, the snapshot, and its copy in the repository.
struct Sent {
  std::string source;
  std::string snapshot;
  std::string received;
};

struct SentRecord {
  // One for each source.
  std::vector<Sent> latest;
  // Subvolumes of no more use, which may be there still.
  std::vector<std::string> superseded;

  [[nodiscard]] bool empty() const { return latest.empty() && superseded.empty(); }
  [[nodiscard]] const Sent* find_source(std::string_view source) const;
  // Is it one of the latest, of either side?
  [[nodiscard]] bool keeps(std::string_view subvolume) const;
  // In the place of the one of the same source, which is superseded.
  void replace(Sent sent);
};

[[nodiscard]] std::string to_document(const SentRecord& record);
[[nodiscard]] base::Result<SentRecord> parse_sent_record(std::string_view text);

class SentFile {
 public:
  explicit SentFile(std::string path) : path_(std::move(path)) {}

  // An empty record if there is no file.
  [[nodiscard]] base::Result<SentRecord> load() const;
  // Durable when it returns; an empty one is no file.
  [[nodiscard]] base::Result<void> save(const SentRecord& record) const;

 private:
  std::string path_;
};

}  // namespace holdfast::host::snapshot
