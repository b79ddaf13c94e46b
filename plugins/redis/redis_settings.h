// SPDX-License-Identifier: MIT
//
// The settings of one Redis resource: the table of its keys, and their checked values.
//
// Threads: plain values, made on the main thread before any session exists.
#pragma once

#include "base/clock.h"
#include "base/options.h"
#include "redis/redis_session.h"

namespace holdfast::redis {

// When a server without an append-only file writes its RDB file.
enum class Save { kBefore, kHeld, kNo };

struct RedisSettings {
  ConnectSettings connect;
  Save save = Save::kBefore;
  base::Millis save_timeout{};
  base::Millis settle_timeout{};
};

[[nodiscard]] base::OptionTable redis_option_table();

// kConfiguration for what does not make sense together, kPermission and kNotFound for a password
// file that is open to others or can't be read.
[[nodiscard]] base::Result<RedisSettings> read_redis_settings(const base::Options& options);

}  // namespace holdfast::redis
