// SPDX-License-Identifier: MIT
//
// The manual pages and the tables name the same options, with the same defaults.
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <string>

#include "base/file.h"
#include "core/config.h"
#include "ctl/options.h"
#include "daemon/options.h"

namespace holdfast {
namespace {

using Names = std::set<std::string>;

std::string page(const std::string& path) {
  const char* source = std::getenv("HOLDFAST_SOURCE");
  const auto text =
      base::read_file(std::string(source != nullptr ? source : ".") + "/" + path, 1'000'000);
  return text ? *text : "";
}

// The part of a page under one heading.
std::string section(const std::string& text, const std::string& heading) {
  const std::size_t begin = text.find("=head1 " + heading + "\n");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find("\n=head1", begin) - begin);
}

// What "=item B<…>" names; without dashes.
Names items(const std::string& text) {
  Names names;
  const std::string mark = "=item B<";
  for (std::size_t at = 0; (at = text.find(mark, at)) != std::string::npos;) {
    at += mark.size();
    std::string name = text.substr(at, text.find('>', at) - at);
    if (name.starts_with("--")) name.erase(0, 2);
    names.insert(name);
  }
  return names;
}

Names names_of(const base::OptionTable& table) {
  Names names;
  for (const base::OptionSpec& option : table)
    names.insert(option.name);
  return names;
}

// Each option's paragraph names its default and says since when it exists.
void expect_described(const std::string& text, const base::OptionTable& table) {
  for (const base::OptionSpec& option : table) {
    const std::size_t begin = std::min(text.find("=item B<" + option.name + ">"),
                                       text.find("=item B<--" + option.name + ">"));
    ASSERT_NE(begin, std::string::npos) << option.name;
    const std::string part = text.substr(begin, text.find("\n=item", begin) - begin);
    EXPECT_NE(part.find("Since " + option.since + "."), std::string::npos) << option.name;
    if (option.default_value) {
      EXPECT_NE(part.find(*option.default_value), std::string::npos) << option.name;
    }
    for (const std::string& choice : option.choices)
      EXPECT_NE(part.find(choice), std::string::npos) << option.name;
  }
}

TEST(Manual, OfHoldfastdNamesItsOptions) {
  const std::string text = section(page("agent/daemon/holdfastd.pod"), "OPTIONS");
  EXPECT_EQ(items(text), names_of(daemon::command_line_table()));
  expect_described(text, daemon::command_line_table());
}

TEST(Manual, OfHoldfastctlNamesItsOptionsAndCommands) {
  const std::string text = page("agent/ctl/holdfastctl.pod");
  EXPECT_EQ(items(section(text, "OPTIONS")), names_of(ctl::command_line_table()));
  expect_described(section(text, "OPTIONS"), ctl::command_line_table());
  Names commands;
  for (const ctl::CommandSpec& command : ctl::command_table())
    commands.insert(command.name);
  EXPECT_EQ(items(section(text, "COMMANDS")), commands);
}

TEST(Manual, OfTheConfigurationNamesItsKeys) {
  const std::string text = page("agent/core/holdfast-agent.conf.pod");
  EXPECT_EQ(items(section(text, "AGENT.CONF")), names_of(core::agent_option_table()));
  expect_described(section(text, "AGENT.CONF"), core::agent_option_table());
  EXPECT_EQ(items(section(text, "RESOURCE FILES")), names_of(core::resource_option_table()));
  expect_described(section(text, "RESOURCE FILES"), core::resource_option_table());
}

TEST(Manual, OfTheHookNamesTheExitStatusesOfTheErrorTable) {
  using base::ErrorCode;
  const Names statuses = items(section(page("hooks/holdfast-fsfreeze-hook.pod"), "EXIT STATUS"));
  Names expected{"0"};
  for (const ErrorCode code :
       {ErrorCode::kUsage, ErrorCode::kDaemonUnreachable, ErrorCode::kHoldFailed,
        ErrorCode::kFreezeTimeout, ErrorCode::kMisconfigured, ErrorCode::kHoldLost,
        ErrorCode::kWindowExpired, ErrorCode::kReleaseFailed, ErrorCode::kDaemonRestarted}) {
    expected.insert(std::to_string(base::guest_exit_status(code)));
  }
  EXPECT_EQ(statuses, expected);
}

TEST(Manual, UsageTextsNameEveryOption) {
  for (const base::OptionSpec& option : daemon::command_line_table())
    EXPECT_NE(daemon::usage_text().find("--" + option.name), std::string::npos);
  for (const base::OptionSpec& option : ctl::command_line_table())
    EXPECT_NE(ctl::usage_text().find("--" + option.name), std::string::npos);
  for (const ctl::CommandSpec& command : ctl::command_table())
    EXPECT_NE(ctl::usage_text().find("  " + command.name), std::string::npos);
}

}  // namespace
}  // namespace holdfast
