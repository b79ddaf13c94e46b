// SPDX-License-Identifier: MIT
//
// The state directory: one lock, at most one journal, and at most one note of a
// checkpoint per machine.
#pragma once

#include <string>

#include "base/result.h"
#include "config/settings.h"
#include "repository/lock.h"

namespace holdfast::host::run {

[[nodiscard]] std::string journal_path(const config::Settings& settings);
// What `btrfs send` left to be sent on from, and where it goes to; the latter empty: nowhere.
[[nodiscard]] std::string sent_path(const config::Settings& settings);
[[nodiscard]] std::string receive_directory(const config::Settings& settings);
// Makes the directory if need be. kLocked if another run has it.
[[nodiscard]] base::Result<repository::Lock> lock_machine(const config::Settings& settings);

}  // namespace holdfast::host::run
