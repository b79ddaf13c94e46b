// SPDX-License-Identifier: MIT
//
// What came of starting a backup in a throwaway machine, beside its manifest: "proof.json". Not in
// the manifest, which nobody ever writes again: its inode is the lock of who reads the backup
// (Use), and what it says is what was true when it was published.
//
// Nothing in a repository is trusted: what is read here is typed, bounded and printable.
//
// Threads: any; a file is replaced in one step, and readers see the old or the new one.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json_codec.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast::host::repository {

enum class ProofResult {
  kUndecided,  // it could not be tried
  kFailed,
  kBooted,  // it booted and its agent answered; nobody in it could say more
  kProven,
};

[[nodiscard]] std::string_view name_of(ProofResult result);  // "undecided", "failed", …

struct Proof {
  ProofResult result = ProofResult::kUndecided;
  std::string at;  // RFC 3339, when it ended
  // All of it, for people and for --json.
  base::Json document;
};

// Nothing where there is none; kCorrupt for what is none of ours.
[[nodiscard]] base::Result<std::optional<Proof>> read_proof(const std::string& directory);

// One trial of a backup at a time: as long as the descriptor is open. kLocked.
[[nodiscard]] base::Result<base::UniqueFd> lock_proof(const std::string& directory);

// Only under that lock. Durable when it returns. One that was undecided keeps what is known from
// before under "before".
[[nodiscard]] base::Result<void> write_proof(const std::string& directory, const Proof& proof);

}  // namespace holdfast::host::repository
