// SPDX-License-Identifier: MIT
#include "command/metrics.h"

#include <gtest/gtest.h>

namespace holdfast::host::command {
namespace {

using base::Error;
using base::ErrorCode;
using base::Json;

RunTime time_of(int begin, int end) {
  return {base::WallTime(std::chrono::seconds(begin)), base::WallTime(std::chrono::seconds(end))};
}

RunReport success() {
  return {.vm = "web1",
          .status = 3,
          .manifest = {{"level", "filesystem"},
                       {"window", {{"total_ms", 12.5}}},
                       {"copy", {{"bytes", 4096}, {"duration_ms", 2000.0}}},
                       {"disks", {1, 2}}}};
}

RunReport failure() {
  return {.vm = "web1", .status = 1, .error = Error(ErrorCode::kIo, "no")};
}

bool has(const std::string& text, const std::string& metric, const std::string& value) {
  return text.find("\nholdfast_backup_" + metric + "{vm=\"web1\"} " + value + "\n") !=
         std::string::npos;
}

TEST(Metrics, TellOfARunAndOfItsSuccess) {
  const std::string text = metrics_text(success(), time_of(100, 107), "");
  EXPECT_TRUE(text.starts_with(
      "# HELP holdfast_backup_last_run_timestamp_seconds When the last run ended.\n"
      "# TYPE holdfast_backup_last_run_timestamp_seconds gauge\n"
      "holdfast_backup_last_run_timestamp_seconds{vm=\"web1\"} 107.000\n"));
  EXPECT_TRUE(has(text, "last_run_duration_seconds", "7.000"));
  EXPECT_TRUE(has(text, "last_run_success", "1"));
  EXPECT_TRUE(has(text, "last_run_exit_status", "3"));
  EXPECT_TRUE(has(text, "last_success_timestamp_seconds", "107.000"));
  EXPECT_TRUE(has(text, "last_success_level", "1"));
  EXPECT_TRUE(has(text, "last_success_window_seconds", "0.013")) << text;
  EXPECT_TRUE(has(text, "last_success_copy_seconds", "2.000"));
  EXPECT_TRUE(has(text, "last_success_bytes", "4096"));
  EXPECT_TRUE(has(text, "last_success_disks", "2"));
}

TEST(Metrics, KeepTheLastSuccessWhenARunFails) {
  const std::string before = metrics_text(success(), time_of(100, 107), "");
  std::string text = metrics_text(failure(), time_of(200, 201), before);
  text = metrics_text(failure(), time_of(300, 302), text);
  EXPECT_TRUE(has(text, "last_run_timestamp_seconds", "302.000"));
  EXPECT_TRUE(has(text, "last_run_success", "0"));
  EXPECT_TRUE(has(text, "last_run_exit_status", "1"));
  EXPECT_TRUE(has(text, "last_success_timestamp_seconds", "107.000"));
  EXPECT_TRUE(has(text, "last_success_bytes", "4096"));
}

TEST(Metrics, ClaimNoSuccessThatNeverWas) {
  const std::string text = metrics_text(failure(), time_of(1, 2), "");
  EXPECT_EQ(text.find("last_success"), std::string::npos);
}

TEST(Metrics, BelieveOfAnOldFileWholeLinesOfThisMachineAlone) {
  const std::string text =
      metrics_text(failure(), time_of(1, 2),
                   "holdfast_backup_last_success_bytes{vm=\"db1\"} 5\n"
                   "holdfast_backup_last_success_level{vm=\"web1\"} 2\"\n"
                   "holdfast_backup_last_success_disks{vm=\"web1\"} \n"
                   "holdfast_backup_last_run_success{vm=\"web1\"} 1\n"
                   "holdfast_backup_last_success_copy_seconds{vm=\"web1\"} 1.5");
  EXPECT_TRUE(has(text, "last_run_success", "0"));
  EXPECT_TRUE(has(text, "last_success_copy_seconds", "1.5"));
  for (const std::string name : {"bytes", "level", "disks"})
    EXPECT_EQ(text.find("last_success_" + name), std::string::npos) << name;
}

}  // namespace
}  // namespace holdfast::host::command
