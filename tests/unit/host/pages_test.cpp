// SPDX-License-Identifier: MIT
//
// The manual pages say what the tables say: every option and key, no other, with its default.
#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "base/file.h"
#include "command/invocation.h"
#include "config/options.h"

namespace holdfast::host {
namespace {

std::string page(const std::string& name) {
  const auto text = base::read_file(std::string(HOST_PAGES) + "/" + name, 1U << 20U);
  EXPECT_TRUE(text);
  return text ? *text : "";
}

std::set<std::string> matches(const std::string& text, const std::string& expression) {
  std::set<std::string> found;
  const std::regex pattern(expression);
  for (auto match = std::sregex_iterator(text.begin(), text.end(), pattern);
       match != std::sregex_iterator(); ++match) {
    found.insert((*match)[1]);
  }
  return found;
}

TEST(Pages, DescribeEveryKeyAndNoOther) {
  std::set<std::string> keys;
  for (const base::OptionSpec& spec : config::all_options())
    keys.insert(spec.name);
  EXPECT_EQ(matches(page("holdfast-host.conf.pod"), "=item B<([a-z-]+)> \\("), keys);
}

TEST(Pages, SayTheDefaultsAndSinceWhen) {
  const std::string text = page("holdfast-host.conf.pod");
  for (const base::OptionSpec& spec : config::all_options()) {
    const std::regex item("=item B<" + spec.name + "> \\(([^)]*)\\)");
    std::smatch match;
    ASSERT_TRUE(std::regex_search(text, match, item)) << spec.name;
    const std::string said = match[1];
    EXPECT_NE(said.find("since " + spec.since), std::string::npos) << spec.name;
    if (spec.default_value) {
      EXPECT_NE(said.find("default " + *spec.default_value), std::string::npos) << spec.name;
    }
  }
}

TEST(Pages, DescribeEveryOptionAndVerb) {
  const std::string text = page("holdfast.pod");
  std::set<std::string> options;
  for (const std::string& name : command::own_option_names())
    options.insert(name);
  EXPECT_EQ(
      matches(text.substr(text.find("=head1 OPTIONS")), "=item (?:B<-[a-z]>, )?B<--([a-z-]+)>"),
      options);
  const std::size_t begin = text.find("=head1 COMMANDS");
  const std::string commands = text.substr(begin, text.find("\n=head1 ", begin) - begin);
  std::set<std::string> verbs;
  for (const std::string& name : command::verb_names())
    verbs.insert(name);
  EXPECT_EQ(matches(commands, "=item B<([a-z]+)>"), verbs);
}

TEST(Examples, AreValidConfigurations) {
  const auto check = [](const std::string& name, base::OptionTable table) {
    const auto settings = base::read_settings(std::string(HOST_PAGES) + "/examples/" + name);
    ASSERT_TRUE(settings) << settings.error().text();
    EXPECT_FALSE(settings->empty());
    base::Options options(std::move(table));
    const auto set = options.set_all(*settings);
    EXPECT_TRUE(set) << set.error().text();
  };
  check("host.conf", config::host_file_options());
  check("vm.conf", config::machine_file_options());
}

}  // namespace
}  // namespace holdfast::host
