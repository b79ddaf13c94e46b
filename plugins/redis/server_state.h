// SPDX-License-Identifier: MIT
//
// What a server says of itself in INFO, as far as a window needs it: read under the pause and again
// before it ends, to be compared.
//
// Threads: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "api/hold.h"

namespace holdfast::redis {

struct ServerState {
  std::string engine;  // "Redis", "Valkey"
  std::string version;
  std::string mode;  // "standalone", "cluster", "sentinel"
  std::string run_id;
  std::string role;
  std::string replication_id;
  std::int64_t replication_offset = 0;
  std::int64_t replicas = 0;
  bool loading = false;

  bool aof = false;
  bool aof_rewriting = false;
  bool aof_writable = true;        // did the last write of it succeed?
  std::int64_t aof_size = 0;       // with what it started from
  std::int64_t aof_base_size = 0;  // moves when it is rewritten
  std::int64_t aof_unwritten = 0;  // bytes still in the server's memory
  std::int64_t aof_unsynced = 0;   // fsync calls under way

  bool saving = false;
  bool save_worked = true;
  std::int64_t changes = 0;  // since the last save
  std::int64_t last_save = 0;
};

[[nodiscard]] ServerState parse_info(std::string_view info);

// Is it at least this version? Valkey counts on from Redis 7.2.
[[nodiscard]] bool at_least(const ServerState& state, int major, int minor);

// What of `before` is not so any more in `after`, so that a write must have come between; empty if
// all is as it must be under a pause. A server with replicas sends them pings, which move the
// offset without any write.
[[nodiscard]] std::string difference(const ServerState& before, const ServerState& after);

[[nodiscard]] api::Position position_of(const ServerState& state);

}  // namespace holdfast::redis
