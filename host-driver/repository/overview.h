// SPDX-License-Identifier: MIT
//
// All backups of a machine in summary, of their manifests or, where there are many of them, of what
// an earlier look has found (index.h). Both say the same; the index says it sooner.
//
// Threads: any. Errors: as Repository::list(). What comes of a failing index is a longer look.
#pragma once

#include <vector>

#include "base/result.h"
#include "repository/summary.h"

namespace holdfast::host::repository {

// A look that opens as many manifests as this writes what it has found: below it that would cost
// more than it saves.
inline constexpr std::size_t kIndexedFrom = 32;

struct Overview {
  std::vector<Summary> backups;  // oldest first
  std::vector<BadBackup> bad;
  // Is any of it what the index says? Then nothing may be removed by it.
  bool is_remembered = false;
};

enum class Source {
  kIndex,      // what is known need not be read again
  kManifests,  // each of them, now; the index is left alone
};

[[nodiscard]] base::Result<Overview> overview(const Repository& repository, const std::string& vm,
                                              Source source);

}  // namespace holdfast::host::repository
