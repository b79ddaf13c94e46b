// SPDX-License-Identifier: MIT
#include "command/invocation.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "command/many_runs.h"

namespace holdfast::host::command {
namespace {

using base::ErrorCode;

TEST(Invocation, TakesVerbArgumentsAndSettingsApart) {
  const auto invocation = parse_command_line(
      {"status", "web1", "--qmp", "rel/q", "--require=application", "--json", "web2"});
  ASSERT_TRUE(invocation) << invocation.error().text();
  EXPECT_EQ(invocation->verb, "status");
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
  EXPECT_EQ(text({"backup", "x", "--resume"}),
            "--resume is for 'restore' of one machine, and 'snapshot revert'");
  EXPECT_EQ(text({"backup", "x", "--with-memory"}),
            "--label, --with-memory, --discard and --foreign are for 'snapshot'");
  EXPECT_EQ(text({"restore", "--group=ID", "--to=/d", "--resume"}),
            "--resume is for 'restore' of one machine, and 'snapshot revert'");
  EXPECT_EQ(text({"restore", "x", "latest", "--to=/d", "--resume", "--disk=vda"}),
            "--resume wants all disks, and --disk names some");
  EXPECT_EQ(text({"restore", "x", "latest", "--to=/d", "--resume", "--format=qcow2"}),
            "--format is not for --resume: the images are as the machine had them");
  EXPECT_EQ(text({"bakcup", "x"}), "unknown command 'bakcup'");
  EXPECT_EQ(text({"backup"}), "usage: holdfast backup VM... | --all | --group=NAME");
  EXPECT_EQ(text({"restore", "x", "latest"}),
            "restore needs --to DIR, or of a container --into-running");
  EXPECT_EQ(text({"restore", "x"}), "usage: holdfast restore VM ID --to DIR|--group=ID --to DIR");
  EXPECT_EQ(text({"restore", "x", "latest", "--group=y", "--to=/d"}),
            "usage: holdfast restore VM ID --to DIR|--group=ID --to DIR");
  EXPECT_EQ(text({"restore", "--group=y", "--to=/d", "--disk=a"}), "--disk is for one machine");
  EXPECT_EQ(text({"list", "--group=x"}), "--group is for 'backup' and 'restore'");
  EXPECT_EQ(text({"backup", "--group", ""}), "--group needs a name");
  EXPECT_EQ(text({"backup", "--group=x", "y"}),
            "usage: holdfast backup VM... | --all | --group=NAME");
  EXPECT_EQ(text({"backup", "--group=x", "--qmp=/q"}), "--qmp is for one machine");
  EXPECT_EQ(text({"backup", "--group=x", "--keep-failed"}),
            "--keep-failed is not for a group, of which all is kept or nothing");
  EXPECT_EQ(text({"list", "--format", "vmdk"}), "--format is qcow2 or raw");
  EXPECT_EQ(text({"backup", "x", "--no-such"}), "unrecognised option '--no-such'");
  EXPECT_EQ(text({"backup", "x", "--qm", "/q"}), "unrecognised option '--qm'");
  EXPECT_EQ(text({"status", "x", ""}), "usage: holdfast status VM...");
  EXPECT_EQ(text({"backup", "x", "--all"}), "usage: holdfast backup VM... | --all | --group=NAME");
  EXPECT_EQ(text({"backup", "x", "y", "--agent", "/q"}), "--agent is for one machine");
  EXPECT_EQ(text({"backup", "--all", "--qmp", "/q"}), "--qmp is for one machine");
  EXPECT_EQ(text({"list", "--all"}),
            "--all, --full, --new-repository and --report-fd are for 'backup'");
  for (const auto& words : {std::vector<std::string>{"backup", "x", "--report-fd", "2"},
                            {"backup", "x", "y", "--report-fd", "3"},
                            {"backup", "--all", "--report-fd", "3"}}) {
    EXPECT_EQ(text(words), "--report-fd takes a descriptor from 3 on, and one machine");
  }
}

TEST(Invocation, TakesABareTrimForYes) {
  const auto value = [](const std::vector<std::string>& words) {
    const auto invocation = parse_command_line(words);
    EXPECT_TRUE(invocation) << invocation.error().text();
    if (!invocation || invocation->overrides.size() != 1) return std::string("none");
    EXPECT_EQ(invocation->overrides[0].key, "trim");
    EXPECT_EQ(invocation->arguments, (std::vector<std::string>{"web1"}));
    return invocation->overrides[0].value;
  };
  EXPECT_EQ(value({"backup", "web1", "--trim"}), "yes");
  EXPECT_EQ(value({"backup", "--trim", "web1"}), "yes");
  EXPECT_EQ(value({"backup", "--trim", "no", "web1"}), "no");
  EXPECT_EQ(value({"backup", "web1", "--trim=require"}), "require");
  EXPECT_EQ(value({"backup", "web1", "--trim", "--json"}), "yes");
  EXPECT_EQ(value({"backup", "web1"}), "none");
  // Not an option behind "--".
  const auto name = parse_command_line({"list", "--", "--trim"});
  ASSERT_TRUE(name);
  EXPECT_EQ(name->arguments, (std::vector<std::string>{"--trim"}));
}

TEST(Invocation, TakesJobsForTheKeyParallel) {
  const auto invocation = parse_command_line({"backup", "--all", "-j", "5"});
  ASSERT_TRUE(invocation) << invocation.error().text();
  EXPECT_TRUE(invocation->all);
  ASSERT_EQ(invocation->overrides.size(), 1U);
  EXPECT_EQ(invocation->overrides[0].key, "parallel");
  EXPECT_EQ(invocation->overrides[0].value, "5");
  EXPECT_EQ(invocation->overrides[0].origin, "--jobs");
}

TEST(Invocation, IsPassedOnToTheRunOfOneMachine) {
  const auto all =
      parse_command_line({"backup", "--all", "--config-directory", "/etc/x", "--require", "crash",
                          "--keep-failed", "--new-repository", "--json", "-j2"});
  ASSERT_TRUE(all) << all.error().text();
  const auto child = parse_command_line(child_words(*all, "web1"));
  ASSERT_TRUE(child) << child.error().text();
  EXPECT_EQ(child->arguments, std::vector<std::string>{"web1"});
  EXPECT_EQ(child->config_directory, "/etc/x");
  EXPECT_TRUE(child->keep_failed && child->new_repository);
  EXPECT_FALSE(child->all || child->json);
  ASSERT_EQ(child->overrides.size(), 2U);
  EXPECT_EQ(child->overrides[1].key, "require");
  // What looks like an option is a name that no machine has, not an option.
  const auto odd = parse_command_line(child_words(*all, "--json"));
  ASSERT_TRUE(odd) << odd.error().text();
  EXPECT_EQ(odd->arguments, std::vector<std::string>{"--json"});
  EXPECT_FALSE(odd->json);
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
