// SPDX-License-Identifier: MIT
//
// A session on a server that is played from a script. The tests of the session and of what borrows
// it share it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "postgresql/postgresql_session.h"
#include "support/scripted_postgres.h"

namespace holdfast::postgresql {

// What a role may do, as the server says it.
struct Role {
  bool superuser = false;
  bool checkpoint = false;
  bool backup = true;
};

inline std::string truth(bool value) {
  return value ? "t" : "f";
}

class ScriptedSession : public ::testing::Test {
 protected:
  ~ScriptedSession() override {
    session_.close();
    if (server_) {
      EXPECT_EQ(server_->finish(), "");
    }
  }

  // A server of this version, on which this role has this conversation, after the beginning that
  // every session has. `facts` is what it has to be asked about the role.
  void play(const std::string& version, const std::string& facts, const Role& role,
            const support::Conversation& conversation,
            const std::vector<support::Conversation>& others = {}) {
    support::Conversation whole{
        support::answers("set_config", {"0"}),
        support::answers(facts, {version + " (test)", "holdfast", truth(role.superuser),
                                 truth(role.checkpoint), truth(role.backup), "t", "16777216"})};
    whole.insert(whole.end(), conversation.begin(), conversation.end());
    std::vector<support::Conversation> scripts{whole};
    scripts.insert(scripts.end(), others.begin(), others.end());
    server_ = std::make_unique<support::ScriptedPostgres>(version, scripts);
    connect_ = {{"host", server_->socket_directory()}, {"user", "holdfast"}, {"dbname", "d"}};
    const auto begun = session_.begin(connect_, soon());
    ASSERT_TRUE(begun) << begun.error().one_line();
  }

  static Patience soon() { return {.deadline = base::Deadline::in(std::chrono::seconds(10))}; }

  static constexpr const char* kOldFacts =
      ", false, has_function_privilege('pg_start_backup(text, boolean, boolean)', 'EXECUTE') AND "
      "has_function_privilege('pg_stop_backup(boolean, boolean)', 'EXECUTE')";
  static constexpr const char* kNewFacts =
      "pg_has_role(current_user, 'pg_checkpoint', 'USAGE'), "
      "has_function_privilege('pg_backup_start(text, boolean)', 'EXECUTE') AND "
      "has_function_privilege('pg_backup_stop(boolean)', 'EXECUTE')";
  const std::string label_ =
      "START WAL LOCATION: 0/2000028 (file 000000030000000000000002)\nSTART TIMELINE: 3\n";

  std::unique_ptr<support::ScriptedPostgres> server_;
  Keywords connect_;
  base::Waker waker_;
  PostgresqlSession session_{waker_};
};

}  // namespace holdfast::postgresql
