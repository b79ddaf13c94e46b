// SPDX-License-Identifier: MIT
#include "daemon/options.h"

#include <gtest/gtest.h>

#include <vector>

#include "ctl/options.h"

namespace holdfast {
namespace {

base::Result<daemon::CommandLine> holdfastd(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "holdfastd");
  return daemon::parse_command_line(static_cast<int>(arguments.size()), arguments.data());
}

base::Result<ctl::CommandLine> holdfastctl(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "holdfastctl");
  return ctl::parse_command_line(static_cast<int>(arguments.size()), arguments.data());
}

TEST(HoldfastdOptions, HasADefaultForTheConfigurationFile) {
  const auto line = holdfastd({});
  ASSERT_TRUE(line);
  EXPECT_EQ(line->config_path, "/etc/holdfast/agent.conf");
  EXPECT_FALSE(line->config_named);
  EXPECT_FALSE(line->check_config || line->print_config || line->help || line->version);
}

TEST(HoldfastdOptions, TakesBothFormsOfAnArgument) {
  EXPECT_EQ(holdfastd({"--config=/x"})->config_path, "/x");
  const auto line = holdfastd({"--config", "/x", "--check-config"});
  ASSERT_TRUE(line);
  EXPECT_EQ(line->config_path, "/x");
  EXPECT_TRUE(line->config_named);
  EXPECT_TRUE(line->check_config);
}

TEST(HoldfastdOptions, SaysInOneLineWhatIsWrong) {
  EXPECT_EQ(holdfastd({"--frobnicate"}).error().one_line(),
            "unrecognised option '--frobnicate' (try holdfastd --help)");
  EXPECT_EQ(holdfastd({"--conf=/x"}).error().code(), base::ErrorCode::kUsage);
  EXPECT_EQ(holdfastd({"surplus"}).error().code(), base::ErrorCode::kUsage);
  EXPECT_EQ(holdfastd({"--config"}).error().code(), base::ErrorCode::kUsage);
}

TEST(HoldfastctlOptions, NeedsExactlyOneKnownCommand) {
  EXPECT_EQ(holdfastctl({"thaw"})->command, ctl::Command::kThaw);
  EXPECT_EQ(holdfastctl({}).error().one_line(), "what is to be done? (try holdfastctl --help)");
  EXPECT_EQ(holdfastctl({"melt"}).error().text(), "unknown command 'melt'");
  EXPECT_EQ(holdfastctl({"thaw", "freeze"}).error().text(), "unknown argument 'freeze'");
  EXPECT_TRUE(holdfastctl({"--version"})->version);
}

TEST(HoldfastctlOptions, TakesTheOptionsOfACommandWithThatCommandAlone) {
  const auto line = holdfastctl({"setup", "--yes", "--remove"});
  ASSERT_TRUE(line);
  EXPECT_TRUE(line->yes && line->remove);
  EXPECT_FALSE(holdfastctl({"setup"})->yes);
  EXPECT_EQ(holdfastctl({"freeze", "--yes"}).error().one_line(),
            "--yes belongs to 'setup' (try holdfastctl --help)");
  EXPECT_EQ(holdfastctl({"setup", "--programs=/p"})->programs, "/p");
  EXPECT_EQ(holdfastctl({"prove", "--programs=/p"})->programs, "/p");
  EXPECT_EQ(holdfastctl({"doctor", "--programs=/p"}).error().text(),
            "--programs belongs to 'prove, setup'");
}

TEST(HoldfastctlOptions, TakesTimesInTheirRangesOnly) {
  EXPECT_EQ(holdfastctl({"prove"})->wait, base::Millis(300'000));
  EXPECT_EQ(holdfastctl({"prove", "--wait=0s", "--timeout=2min"})->timeout, base::Millis(120'000));
  EXPECT_EQ(holdfastctl({"prove", "--timeout=0s"}).error().text(),
            "--timeout takes a time from 1s to 24h, not '0s'");
  EXPECT_EQ(holdfastctl({"prove", "--wait=soon"}).error().text(),
            "--wait takes a time from 0ms to 24h, not 'soon'");
}

TEST(HoldfastctlOptions, TakesOptionsBeforeAndAfterTheVerb) {
  const auto line = holdfastctl({"--json", "status", "--socket=/s"});
  ASSERT_TRUE(line);
  EXPECT_TRUE(line->json);
  EXPECT_EQ(line->socket, "/s");
  EXPECT_EQ(holdfastctl({"status"})->socket, "/run/holdfast/control.sock");
}

}  // namespace
}  // namespace holdfast
