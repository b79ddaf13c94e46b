// SPDX-License-Identifier: MIT
#include "redis/server_state.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "base/text.h"

namespace holdfast::redis {

namespace {

using Fields = std::map<std::string_view, std::string_view>;

// "# Server\r\nredis_version:7.0.15\r\n…"
Fields fields_of(std::string_view info) {
  Fields fields;
  while (!info.empty()) {
    const std::string_view line = info.substr(0, info.find('\n'));
    info.remove_prefix(std::min(info.size(), line.size() + 1));
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    fields.emplace(line.substr(0, colon), base::trimmed(line.substr(colon + 1)));
  }
  return fields;
}

std::string text(const Fields& fields, std::string_view name) {
  const auto found = fields.find(name);
  return found == fields.end() ? std::string() : base::printable(found->second, 100);
}

std::int64_t number(const Fields& fields, std::string_view name) {
  const auto found = fields.find(name);
  std::int64_t value = 0;
  if (found != fields.end()) {
    (void)std::from_chars(found->second.data(), found->second.data() + found->second.size(), value);
  }
  return value;
}

std::string changed(const char* what, const std::string& before, const std::string& after) {
  return std::string(what) + " was " + before + " and is " + after;
}

std::string changed(const char* what, std::int64_t before, std::int64_t after) {
  return changed(what, std::to_string(before), std::to_string(after));
}

}  // namespace

ServerState parse_info(std::string_view info) {
  const Fields fields = fields_of(info);
  const auto is = [&](std::string_view name) { return number(fields, name) != 0; };
  const auto failed = [&](std::string_view name) { return text(fields, name) == "err"; };
  ServerState state;
  state.engine = fields.contains("valkey_version") ? "Valkey" : "Redis";
  state.version =
      text(fields, fields.contains("valkey_version") ? "valkey_version" : "redis_version");
  // Valkey calls it so, and Redis otherwise.
  state.mode = text(fields, fields.contains("server_mode") ? "server_mode" : "redis_mode");
  state.run_id = text(fields, "run_id");
  state.role = text(fields, "role");
  state.replication_id = text(fields, "master_replid");
  state.replication_offset = number(fields, "master_repl_offset");
  state.replicas = number(fields, "connected_slaves");
  state.loading = is("loading") || is("async_loading");
  state.aof = is("aof_enabled");
  state.aof_rewriting = is("aof_rewrite_in_progress") || is("aof_rewrite_scheduled");
  state.aof_writable = !failed("aof_last_write_status");
  state.aof_size = number(fields, "aof_current_size");
  state.aof_base_size = number(fields, "aof_base_size");
  state.aof_unwritten = number(fields, "aof_buffer_length");
  state.aof_unsynced = number(fields, "aof_pending_bio_fsync");
  state.saving = is("rdb_bgsave_in_progress");
  state.save_worked = !failed("rdb_last_bgsave_status");
  state.changes = number(fields, "rdb_changes_since_last_save");
  state.last_save = number(fields, "rdb_last_save_time");
  return state;
}

bool at_least(const ServerState& state, int major, int minor) {
  int has_major = 0;
  int has_minor = 0;
  const char* end = state.version.data() + state.version.size();
  const auto first = std::from_chars(state.version.data(), end, has_major);
  if (first.ec == std::errc() && first.ptr != end) {
    (void)std::from_chars(first.ptr + 1, end, has_minor);
  }
  return has_major != major ? has_major > major : has_minor >= minor;
}

std::string difference(const ServerState& before, const ServerState& after) {
  if (after.run_id != before.run_id) return "the server was restarted, or another one answers";
  if (after.role != before.role) return changed("role", before.role, after.role);
  if (after.replication_id != before.replication_id) {
    return changed("replication id", before.replication_id, after.replication_id);
  }
  const bool pinged = before.replicas > 0 || after.replicas > 0 || before.role != "master";
  if (after.replication_offset < before.replication_offset ||
      (after.replication_offset != before.replication_offset && !pinged)) {
    return changed("replication offset", before.replication_offset, after.replication_offset);
  }
  if (before.aof && after.aof && after.aof_base_size == before.aof_base_size &&
      after.aof_size != before.aof_size) {
    return changed("the size of the append-only file", before.aof_size, after.aof_size);
  }
  // A save that ends takes what it has saved off the count.
  const bool saved = after.last_save != before.last_save || before.saving != after.saving;
  if (after.changes > before.changes || (after.changes != before.changes && !saved)) {
    return changed("the number of changes since the last save", before.changes, after.changes);
  }
  return {};
}

api::Position position_of(const ServerState& state) {
  api::Position position{{"replication-id", state.replication_id},
                         {"replication-offset", std::to_string(state.replication_offset)}};
  if (state.aof) position.emplace_back("aof-size", std::to_string(state.aof_size));
  position.emplace_back("last-save", std::to_string(state.last_save));
  position.emplace_back("changes-since-save", std::to_string(state.changes));
  return position;
}

}  // namespace holdfast::redis
