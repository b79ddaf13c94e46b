// SPDX-License-Identifier: MIT
//
// Which directories this host has published backups in. One that held backups and is empty or
// missing now is most likely not mounted: a new repository made below the mount point would hide
// that, and fill the wrong filesystem, until the day when the backups are wanted.
//
// STATE/repositories has one path per line, as a JSON string. Lines are only ever added, so that
// runs side by side need no lock.
//
// Threads: any.
#pragma once

#include <string>

#include "repository/repository.h"

namespace holdfast::host::repository {

// False also where that cannot be known, such as on a host that is new.
[[nodiscard]] bool is_remembered(const std::string& state_directory, const std::string& path);

// The state directory is there already.
[[nodiscard]] base::Result<void> remember(const std::string& state_directory,
                                          const std::string& path);

// What is wrong with a repository that is remembered, where open() says `cause`.
[[nodiscard]] base::Error gone(const std::string& path, base::Error cause);

}  // namespace holdfast::host::repository
