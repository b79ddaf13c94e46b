// SPDX-License-Identifier: MIT
#include "command/invocation.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace holdfast::host::command {
namespace {

using base::ErrorCode;

TEST(Invocation, TakesVerbArgumentsAndSettingsApart) {
  const auto invocation = parse_command_line(
      {"backup", "web1", "--qmp", "rel/q", "--require=application", "--json", "web2"});
  ASSERT_TRUE(invocation) << invocation.error().text();
  EXPECT_EQ(invocation->verb, "backup");
  EXPECT_EQ(invocation->arguments, (std::vector<std::string>{"web1", "web2"}));
  EXPECT_TRUE(invocation->json);
  ASSERT_EQ(invocation->overrides.size(), 2U);
  EXPECT_EQ(invocation->overrides[0].key, "qmp");
  EXPECT_EQ(invocation->overrides[0].value, (std::filesystem::current_path() / "rel/q").string());
  EXPECT_EQ(invocation->overrides[1].origin, "--require");
}

TEST(Invocation, SaysOneSpecificThing) {
  const auto text = [](const std::vector<std::string>& words) {
    const auto invocation = parse_command_line(words);
    EXPECT_FALSE(invocation);
    if (invocation) return std::string();
    EXPECT_EQ(invocation.error().code(), ErrorCode::kUsage);
    return invocation.error().text();
  };
  EXPECT_EQ(text({}), "a command is missing");
  EXPECT_EQ(text({"bakcup", "x"}), "unknown command 'bakcup'");
  EXPECT_EQ(text({"backup"}), "usage: holdfast backup VM...");
  EXPECT_EQ(text({"restore", "x", "latest"}), "restore needs --to DIR");
  EXPECT_EQ(text({"restore", "x"}), "usage: holdfast restore VM ID --to DIR");
  EXPECT_EQ(text({"list", "--format", "vmdk"}), "--format is qcow2 or raw");
  EXPECT_EQ(text({"backup", "x", "--no-such"}), "unrecognised option '--no-such'");
  EXPECT_EQ(text({"backup", "x", "--qm", "/q"}), "unrecognised option '--qm'");
}

TEST(Invocation, KnowsHelpAndVersionEverywhere) {
  EXPECT_EQ(parse_command_line({"--help"})->verb, "help");
  EXPECT_EQ(parse_command_line({"backup", "-h"})->verb, "help");
  EXPECT_EQ(parse_command_line({"--version"})->verb, "version");
  for (const std::string& verb : verb_names())
    EXPECT_NE(help_text().find("  " + verb + " "), std::string::npos) << verb;
}

}  // namespace
}  // namespace holdfast::host::command
