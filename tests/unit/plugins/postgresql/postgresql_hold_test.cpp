// SPDX-License-Identifier: MIT
#include "postgresql/postgresql_hold.h"

#include <gtest/gtest.h>

namespace holdfast::postgresql {
namespace {

class DifferenceOfStates : public ::testing::Test {
 protected:
  std::string change(void (*edit)(ServerState&)) const {
    ServerState after = before_;
    edit(after);
    return difference(before_, after);
  }

  ServerState before_{.system_id = "7301",
                      .started = "1700000000.5",
                      .timeline = "1",
                      .lsn = "0/2000",
                      .session_id = 42,
                      .in_recovery = false};
};

TEST_F(DifferenceOfStates, IsNothingWhenNothingMoved) {
  EXPECT_EQ(difference(before_, before_), "");
}

TEST_F(DifferenceOfStates, AllowsTheLogToGrow) {
  EXPECT_EQ(change([](ServerState& after) { after.lsn = "0/2001"; }), "");
}

TEST_F(DifferenceOfStates, SeesALogThatShrank) {
  EXPECT_EQ(change([](ServerState& after) { after.lsn = "0/1FFF"; }),
            "lsn was 0/2000 and is 0/1FFF");
  EXPECT_EQ(change([](ServerState& after) { after.lsn = ""; }), "lsn was 0/2000 and is none");
}

TEST_F(DifferenceOfStates, AllowsAStandbyThatHasReplayedNothingYet) {
  before_.lsn = "";
  EXPECT_EQ(change([](ServerState& after) { after.lsn = "0/1"; }), "");
  EXPECT_EQ(difference(before_, before_), "");
}

TEST_F(DifferenceOfStates, SeesAnotherServer) {
  EXPECT_EQ(change([](ServerState& after) { after.system_id = "7302"; }),
            "another server answers: system identifier was 7301 and is 7302");
  EXPECT_EQ(change([](ServerState& after) { after.started = "1700000001"; }),
            "the server was restarted");
}

TEST_F(DifferenceOfStates, SeesAnotherSession) {
  EXPECT_EQ(change([](ServerState& after) { after.session_id = 43; }),
            "session 43 answers in place of 42");
}

TEST_F(DifferenceOfStates, SeesAPromotion) {
  EXPECT_EQ(change([](ServerState& after) { after.in_recovery = true; }),
            "the server was promoted");
  EXPECT_EQ(change([](ServerState& after) { after.timeline = "2"; }), "timeline was 1 and is 2");
}

}  // namespace
}  // namespace holdfast::postgresql
