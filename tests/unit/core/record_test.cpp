// SPDX-License-Identifier: MIT
#include "core/record.h"

#include <gtest/gtest.h>

#include "support/fake_clock.h"

namespace holdfast::core {
namespace {

using namespace std::chrono_literals;

TEST(Record, HasTheShapeThatTheHostReads) {
  WindowRecord record;
  record.id = "3f2a";
  record.sequence = 7;
  record.boot = "b00t";
  record.begin = {base::WallTime(1'700'000'000s), base::MonoTime(1s)};
  record.held = Instant{base::WallTime(1'700'000'001s), base::MonoTime(2s)};
  record.phases = {{"hold", base::MonoTime(1500ms), 1'234'567ns}};
  record.filesystems = {"/", "/var/lib/mysql"};
  ResourceRecord resource;
  resource.name = "mysql:main";
  resource.plugin = "mysql";
  resource.identity = {"MariaDB", "10.11.6", "uuid", "42"};
  resource.held_at = base::MonoTime(1600ms);
  resource.position = {{"binlog-file", "b.000001"}, {"binlog-position", "4"}};
  record.resources = {resource};
  EXPECT_EQ(
      base::to_line(to_json(record)),
      R"({"schema":1,"holdfast":")" HOLDFAST_VERSION
      R"(","window":"3f2a","sequence":7,"boot":"b00t","state":"held","kind":"freeze","verdict":null,)"
      R"("begin":{"wall":"2023-11-14T22:13:20.000Z","monotonic_ns":1000000000},)"
      R"("held":{"wall":"2023-11-14T22:13:21.000Z","monotonic_ns":2000000000},)"
      R"("phases":[{"name":"hold","begin_ns":1500000000,"duration_ms":1.235}],)"
      R"("filesystems":["/","/var/lib/mysql"],)"
      R"("resources":[{"name":"mysql:main","plugin":"mysql","required":true,"engine":"MariaDB",)"
      R"("version":"10.11.6","server_uuid":"uuid","session_id":"42","held_at_ns":1600000000,)"
      R"("position":{"binlog-file":"b.000001","binlog-position":"4"},)"
      R"("verdict":{"code":"ok","text":""}}]})");
}

TEST(Record, AddsWhatTheReleaseBroughtToLight) {
  WindowRecord record;
  ResourceRecord resource;
  resource.position_at_thaw = {{"lsn", "0/2"}};
  resource.release = {{{"backup-stop-lsn", "0/3"}}, {{"backup_label", "START: 0/1\nLABEL: a\n"}}};
  record.resources = {resource, ResourceRecord{}};
  const base::Json json = to_json(record)["resources"];
  EXPECT_EQ(base::to_line(json[0]["position_at_thaw"]), R"({"lsn":"0/2","backup-stop-lsn":"0/3"})");
  EXPECT_EQ(base::to_line(json[0]["files"]), R"({"backup_label":["START: 0/1","LABEL: a"]})");
  EXPECT_FALSE(json[1].contains("position_at_thaw"));
  EXPECT_FALSE(json[1].contains("files"));
}

TEST(Record, IsDoneOnceItHasAVerdict) {
  WindowRecord record;
  record.verdict =
      verdict_of(base::Error(base::ErrorCode::kHoldLost, "the session of 'mysql:main' closed"));
  const base::Json json = to_json(record);
  EXPECT_EQ(json["state"], "done");
  EXPECT_EQ(json["verdict"]["code"], "hold-lost");
  EXPECT_EQ(json["verdict"]["status"], 30);
  EXPECT_EQ(json["verdict"]["text"], "the session of 'mysql:main' closed");
}

TEST(Record, MeasuresAPhaseFromBeginToEnd) {
  support::FakeClock clock;
  WindowRecord record;
  {
    const PhaseTimer outer(record, clock, "prepare");
    clock.advance(30ms);
  }
  {
    const PhaseTimer next(record, clock, "hold");
    clock.advance(2ms);
  }
  ASSERT_EQ(record.phases.size(), 2U);
  EXPECT_EQ(record.phases[0].name, "prepare");
  EXPECT_EQ(record.phases[0].duration, 30ms);
  EXPECT_EQ(record.phases[1].duration, 2ms);
  EXPECT_EQ(record.phases[1].begin - record.phases[0].begin, 30ms);
}

}  // namespace
}  // namespace holdfast::core
