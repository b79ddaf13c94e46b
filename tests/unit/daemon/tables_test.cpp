// SPDX-License-Identifier: MIT
#include "ctl/tables.h"

#include <gtest/gtest.h>

namespace holdfast::ctl {
namespace {

using base::Json;

TEST(Tables, AlignsColumnsAndLeavesNoBlankAtTheEnd) {
  EXPECT_EQ(table({{"NAME", "STATE"}, {"mysql:main", "ok"}, {"x"}}),
            "NAME        STATE\nmysql:main  ok\nx\n");
}

TEST(Tables, ShowsStatusWithReasonsAndWarnings) {
  const Json status = {
      {"holdfast", "0.1.0"},
      {"state", "idle"},
      {"window", nullptr},
      {"last",
       {{"begin", {{"wall", "2026-11-20T18:00:00.000Z"}}},
        {"verdict", {{"code", "hold-lost"}, {"text", "it closed"}}}}},
      {"resources",
       {{{"name", "mysql:main"},
         {"state", "ready"},
         {"required", true},
         {"engine", "MariaDB"},
         {"version", "10.11"},
         {"warnings", {"no binlog"}}},
        {{"name", "pg:x"}, {"state", "not-ready"}, {"required", false}, {"text", "no server"}}}}};
  EXPECT_EQ(status_text(status),
            "holdfastd 0.1.0: idle\n"
            "last window: 2026-11-20T18:00:00.000Z, hold-lost: it closed\n"
            "RESOURCE    STATE      REQUIRED  ENGINE\n"
            "mysql:main  ready      yes       MariaDB 10.11\n"
            "pg:x        not-ready  no        -\n"
            "mysql:main: warning: no binlog\n"
            "pg:x: no server\n");
}

TEST(Tables, ShowsARecordWithPhasesAndPositions) {
  const Json report = {
      {"records",
       {{{"window", "w1"},
         {"begin", {{"wall", "2026-11-20T18:00:00.000Z"}, {"monotonic_ns", 1'000'000'000}}},
         {"held", {{"monotonic_ns", 1'012'300'000}}},
         {"end", {{"monotonic_ns", 1'100'000'000}}},
         {"phases", {{{"name", "hold"}, {"duration_ms", 1.25}}}},
         {"verdict", {{"code", "ok"}, {"text", ""}}},
         {"resources",
          {{{"name", "pg:x"},
            {"engine", "PostgreSQL"},
            {"version", "15"},
            {"position", {{"lsn", "0/1"}, {"timeline", "1"}}},
            {"verdict", {{"code", "ok"}}}}}}}}}};
  EXPECT_EQ(report_text(report),
            "2026-11-20T18:00:00.000Z  window w1  ok\n"
            "  until held 12.3 ms, held for 87.7 ms\n"
            "  phases: hold 1.2 ms\n"
            "  pg:x  ok  PostgreSQL 15  lsn=0/1 timeline=1\n");
}

TEST(Tables, SurvivesDocumentsOfAnyShape) {
  for (const char* text : {"null", "[]", "7", "{}", R"({"resources": 3, "records": "x"})",
                           R"({"resources": [1, null], "records": [[], {"phases": [1]}]})"}) {
    const Json json = Json::parse(text);
    EXPECT_FALSE(status_text(json).empty()) << text;
    EXPECT_FALSE(report_text(json).empty()) << text;
  }
}

TEST(Tables, ShowsTimesThatAreFurtherApartThanANumberReaches) {
  const Json instant = {{"monotonic_ns", INT64_MIN}};
  const Json report = {
      {"records",
       {{{"begin", instant}, {"held", {{"monotonic_ns", INT64_MAX}}}, {"end", instant}}}}};
  const std::string text = report_text(report);
  EXPECT_NE(text.find("until held 18446744073709.6 ms, held for -18446744073709.6 ms\n"),
            std::string::npos)
      << text;
}

TEST(Tables, ShowsNoControlCharacters) {
  const Json status = {{"resources", {{{"name", "a\x1b[2Jb"}, {"text", "x\ny"}}}}};
  const std::string text = status_text(status);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_NE(text.find("x\\x0ay"), std::string::npos);
}

}  // namespace
}  // namespace holdfast::ctl
