// SPDX-License-Identifier: MIT
//
// What stands in a repository under a name that is known exactly, without a search for it: for who
// goes through a whole machine's directory.
//
// Threads: any. Errors: as Repository's.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "repository/repository.h"

namespace holdfast::host::repository {

// All names in a directory, sorted.
[[nodiscard]] base::Result<std::vector<std::string>> names_in(const std::string& directory);

// The backup of exactly this id, its manifest read and checked.
[[nodiscard]] base::Result<Backup> load_backup(const Repository& repository, const std::string& vm,
                                               const std::string& id);

}  // namespace holdfast::host::repository
