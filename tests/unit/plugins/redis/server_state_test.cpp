// SPDX-License-Identifier: MIT
#include "redis/server_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace holdfast::redis {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(ServerState, IsReadOutOfInfo) {
  const ServerState state = parse_info(
      "# Server\r\nredis_version:7.0.15\r\nredis_mode:cluster\r\nrun_id:abc\r\n\r\n"
      "# Persistence\r\nloading:0\r\naof_enabled:1\r\naof_current_size:100\r\naof_base_size:40\r\n"
      "aof_buffer_length:5\r\naof_pending_bio_fsync:1\r\naof_last_write_status:err\r\n"
      "aof_rewrite_in_progress:1\r\nrdb_changes_since_last_save:3\r\nrdb_last_save_time:1700\r\n"
      "rdb_bgsave_in_progress:1\r\nrdb_last_bgsave_status:err\r\n"
      "# Replication\r\nrole:master\r\nconnected_slaves:2\r\nmaster_replid:id\r\n"
      "master_repl_offset:77\r\nnonsense\r\n");
  EXPECT_EQ(state.engine, "Redis");
  EXPECT_EQ(state.version, "7.0.15");
  EXPECT_EQ(state.mode, "cluster");
  EXPECT_EQ(state.run_id, "abc");
  EXPECT_FALSE(state.loading);
  EXPECT_TRUE(state.aof && state.aof_rewriting && !state.aof_writable && state.saving);
  EXPECT_FALSE(state.save_worked);
  EXPECT_EQ(state.aof_unwritten, 5);
  EXPECT_EQ(state.aof_unsynced, 1);
  EXPECT_EQ(state.replicas, 2);
  EXPECT_THAT(position_of(state),
              ElementsAre(Pair("replication-id", "id"), Pair("replication-offset", "77"),
                          Pair("aof-size", "100"), Pair("last-save", "1700"),
                          Pair("changes-since-save", "3")));
}

TEST(ServerState, OfValkeyHasItsOwnVersion) {
  const ServerState state = parse_info(
      "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.1\r\n"
      "server_mode:standalone\r\n");
  EXPECT_EQ(state.engine, "Valkey");
  EXPECT_EQ(state.version, "8.1.1");
  EXPECT_EQ(state.mode, "standalone");
}

TEST(ServerState, OfWhatIsNotInfoIsEmpty) {
  for (const char* text : {"", "\n\n", ":", "abc", "run_id", "master_repl_offset:many\r\n"}) {
    const ServerState state = parse_info(text);
    EXPECT_EQ(state.run_id, "");
    EXPECT_EQ(state.replication_offset, 0);
    EXPECT_FALSE(at_least(state, 6, 2));
  }
}

TEST(ServerState, ComparesVersionsByNumber) {
  ServerState state;
  for (const char* version : {"6.2", "6.2.0", "6.10.1", "7.0.15", "10.0"}) {
    state.version = version;
    EXPECT_TRUE(at_least(state, 6, 2)) << version;
  }
  for (const char* version : {"", "6", "6.0.16", "5.9", "x.y"}) {
    state.version = version;
    EXPECT_FALSE(at_least(state, 6, 2)) << version;
  }
}

ServerState held() {
  ServerState state;
  state.run_id = "r";
  state.role = "master";
  state.replication_id = "i";
  state.replication_offset = 10;
  state.aof = true;
  state.aof_size = 100;
  state.aof_base_size = 50;
  state.changes = 3;
  state.last_save = 1000;
  return state;
}

struct Change {
  std::function<void(ServerState& before, ServerState& after)> make;
  const char* seen;
};

TEST(ServerStateDifference, SeesWhatAWriteWouldChangeAndNothingElse) {
  const std::vector<Change> changes{
      {[](auto&, auto&) {}, ""},
      {[](auto&, auto& after) { after.run_id = "s"; },
       "the server was restarted, or another one answers"},
      {[](auto&, auto& after) { after.role = "slave"; }, "role was master and is slave"},
      {[](auto&, auto& after) { after.replication_id = "j"; }, "replication id was i and is j"},
      {[](auto&, auto& after) { after.replication_offset = 11; },
       "replication offset was 10 and is 11"},
      {[](auto&, auto& after) { after.aof_size = 101; },
       "the size of the append-only file was 100 and is 101"},
      {[](auto&, auto& after) { after.changes = 4; },
       "the number of changes since the last save was 3 and is 4"},
      {[](auto&, auto& after) { after.changes = 2; },
       "the number of changes since the last save was 3 and is 2"},
      // Pings to replicas; a primary's pings to this replica.
      {[](auto&, auto& after) { after.replication_offset = 24, after.replicas = 1; }, ""},
      {[](auto& before, auto& after) { before.replicas = 1, after.replication_offset = 24; }, ""},
      {[](auto& before, auto& after) {
         before.role = after.role = "slave", after.replication_offset = 24;
       },
       ""},
      {[](auto& before, auto& after) { before.replicas = 1, after.replication_offset = 9; },
       "replication offset was 10 and is 9"},
      // A rewrite and a save that ended.
      {[](auto&, auto& after) { after.aof_base_size = 60, after.aof_size = 60; }, ""},
      {[](auto&, auto& after) { after.changes = 0, after.last_save = 1001; }, ""},
      {[](auto& before, auto& after) { before.saving = true, after.changes = 1; }, ""},
      {[](auto&, auto& after) { after.changes = 4, after.last_save = 1001; },
       "the number of changes since the last save was 3 and is 4"},
  };
  for (const Change& change : changes) {
    ServerState before = held();
    ServerState after = held();
    change.make(before, after);
    EXPECT_EQ(difference(before, after), change.seen);
  }
}

}  // namespace
}  // namespace holdfast::redis
