// SPDX-License-Identifier: MIT
#include "mysql/replica_status.h"

#include <gtest/gtest.h>

namespace holdfast::mysql {
namespace {

TEST(ReplicaStatus, OfNoSourceIsEmpty) {
  EXPECT_TRUE(applied_sources_of(Table{}).empty());
  EXPECT_TRUE(applied_sources_of(Table{{"Exec_Master_Log_Pos"}, {}}).empty());
}

TEST(ReplicaStatus, GivesWhatIsAppliedAndNotWhatIsRead) {
  const Table mariadb{{"Connection_name", "Master_Host", "Master_Log_File", "Read_Master_Log_Pos",
                       "Relay_Master_Log_File", "Exec_Master_Log_Pos"},
                      {{"", "db1", "binlog.000009", "999", "binlog.000003", "760"}}};
  EXPECT_EQ(applied_sources_of(mariadb), (api::Position{{"source-file", "binlog.000003"},
                                                        {"source-position", "760"},
                                                        {"source-host", "db1"}}));
}

TEST(ReplicaStatus, NamesEachSourceOfSeveralInTheNewWordsToo) {
  const Table mysql{{"Source_Host", "Source_Log_File", "Relay_Source_Log_File",
                     "Exec_Source_Log_Pos", "Channel_Name"},
                    {{"db1", "b.000009", "b.000001", "4", "paris"},
                     {"db2", "b.000009", "b.000002", "5", "rome"}}};
  EXPECT_EQ(applied_sources_of(mysql), (api::Position{{"source-file[paris]", "b.000001"},
                                                      {"source-position[paris]", "4"},
                                                      {"source-host[paris]", "db1"},
                                                      {"source-file[rome]", "b.000002"},
                                                      {"source-position[rome]", "5"},
                                                      {"source-host[rome]", "db2"}}));
}

}  // namespace
}  // namespace holdfast::mysql
