// SPDX-License-Identifier: MIT
//
// What a listing shows of a backup, and retention decides by: a few words of its manifest, and what
// stands beside that. Of thousands of backups it is all that is kept in memory.
//
// Threads: plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "repository/proof.h"
#include "repository/repository.h"

namespace holdfast::host::repository {

struct Summary {
  std::string vm;
  std::string id;
  std::string directory;
  std::string begin;  // RFC 3339
  Level level = Level::kCrash;
  // The backup that this one cannot be restored without; empty: none.
  std::string parent;
  bool is_archive = false;
  bool is_protected = false;
  GroupEntry group;
  std::size_t disks = 0;
  std::optional<std::uint64_t> memory_bytes;  // nothing: it has none
  std::uint64_t bytes = 0;                    // stored, of everything in it

  // What came of starting it; nothing: it was never started.
  struct Proof {
    ProofResult result = ProofResult::kUndecided;
    std::string at;  // RFC 3339
  };
  std::optional<Proof> proof;
  bool proof_is_unusable = false;
};

// Reads the proof as well.
[[nodiscard]] Summary summary_of(const Backup& backup);

}  // namespace holdfast::host::repository
