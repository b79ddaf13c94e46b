// SPDX-License-Identifier: MIT
//
// The settings of one PostgreSQL resource: the table of its keys, and their checked values.
//
// Threads: plain values, made on the main thread before any session exists.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/options.h"

namespace holdfast::postgresql {

enum class Mode { kCheckpoint, kBackup };

struct PostgresqlSettings {
  // Keywords and values for libpq. No password among them: it stands in a file that libpq reads.
  std::vector<std::pair<std::string, std::string>> connect;
  std::string target;  // for messages
  Mode mode = Mode::kCheckpoint;
  base::Millis checkpoint_timeout{0};
  std::size_t labels_kept = 0;
};

[[nodiscard]] base::OptionTable postgresql_option_table();

// kConfiguration for what does not make sense together, kPermission and kNotFound for a password
// or service file that is open to others or can't be read.
[[nodiscard]] base::Result<PostgresqlSettings> read_postgresql_settings(
    const base::Options& options);

}  // namespace holdfast::postgresql
