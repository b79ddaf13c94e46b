// SPDX-License-Identifier: MIT
#include "base/options.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "support/temporary_directory.h"

namespace holdfast::base {
namespace {

using namespace std::chrono_literals;

OptionTable table() {
  return {
      {.name = "freeze-timeout",
       .type = OptionType::kDuration,
       .default_value = "15s",
       .help = "",
       .least = 1000,
       .most = 120000},
      {.name = "rate",
       .type = OptionType::kSize,
       .default_value = "1MiB",
       .help = "",
       .least = 65536,
       .most = 1 << 30},
      {.name = "socket", .type = OptionType::kPath, .help = ""},
      {.name = "order",
       .type = OptionType::kInteger,
       .default_value = "0",
       .help = "",
       .least = -10,
       .most = 10},
      {.name = "required", .type = OptionType::kBool, .default_value = "yes", .help = ""},
      {.name = "mode",
       .type = OptionType::kChoice,
       .default_value = "checkpoint",
       .help = "",
       .choices = {"checkpoint", "backup"}},
      {.name = "user", .type = OptionType::kText, .help = "", .required = true},
      {.name = "argument", .type = OptionType::kText, .help = "", .repeatable = true},
      {.name = "token", .type = OptionType::kText, .help = "", .secret = true},
  };
}

Error error_of(const std::string& text) {
  Options options(table());
  const auto settings = parse_settings(text, "f.conf");
  if (!settings) return settings.error();
  const auto set = options.set_all(*settings);
  if (!set) return set.error();
  const auto finished = options.finish("f.conf");
  return finished ? Error(ErrorCode::kInternal, "no error") : finished.error();
}

TEST(Options, TakesValuesDefaultsAndComments) {
  Options options(table());
  const auto settings = parse_settings(
      "# comment\n\nfreeze-timeout = 2min  # trailing\n user=me\nargument = one\nargument = two\n"
      "required = no\nmode = backup\nsocket = /run/x\norder = -3\nrate = 50MiB\n",
      "f.conf");
  ASSERT_TRUE(settings) << settings.error().text();
  ASSERT_TRUE(options.set_all(*settings));
  ASSERT_TRUE(options.finish("f.conf"));
  EXPECT_EQ(options.duration("freeze-timeout"), 2min);
  EXPECT_EQ(options.text("user"), "me");
  EXPECT_EQ(options.list("argument"), (std::vector<std::string>{"one", "two"}));
  EXPECT_FALSE(options.flag("required"));
  EXPECT_EQ(options.text("mode"), "backup");
  EXPECT_EQ(options.text("socket"), "/run/x");
  EXPECT_EQ(options.integer("order"), -3);
  EXPECT_EQ(options.size("rate"), 50 << 20);
  EXPECT_FALSE(options.has("token"));
}

TEST(Options, FallsBackToDefaults) {
  const Options options(table());
  EXPECT_EQ(options.duration("freeze-timeout"), 15s);
  EXPECT_TRUE(options.flag("required"));
  EXPECT_TRUE(options.list("argument").empty());
  EXPECT_EQ(options.list("mode"), (std::vector<std::string>{"checkpoint"}));
}

TEST(Options, NamesFileLineAndNearestKeyForAnUnknownOne) {
  const Error error = error_of("user = me\nfreze-timeout = 15s\n");
  EXPECT_EQ(error.code(), ErrorCode::kConfiguration);
  EXPECT_EQ(error.one_line(),
            "f.conf:2: unknown key 'freze-timeout' (did you mean 'freeze-timeout'?)");
  EXPECT_EQ(error_of("completely-different = 1").one_line(),
            "f.conf:1: unknown key 'completely-different' "
            "(see the manual page for the keys that exist)");
}

TEST(Options, RefusesAKeyThatIsGivenAgain) {
  EXPECT_EQ(error_of("user = a\nmode = backup\nuser = b\n").text(),
            "f.conf:3: key 'user' is given again, after f.conf:1");
}

TEST(Options, RefusesValuesOutOfRangeOrOfAnotherType) {
  EXPECT_EQ(error_of("freeze-timeout = 15\n").text(),
            "f.conf:1: '15' is not right for 'freeze-timeout': a duration such as 500ms, 15s or "
            "2min, 1s to 2min");
  EXPECT_EQ(error_of("freeze-timeout = 1h\n").code(), ErrorCode::kConfiguration);
  EXPECT_EQ(error_of("order = 11\n").text(),
            "f.conf:1: '11' is not right for 'order': a whole number from -10 to 10");
  EXPECT_EQ(error_of("rate = 32KiB\n").text(),
            "f.conf:1: '32KiB' is not right for 'rate': a size such as 64KiB, 50MiB or 1GiB, "
            "64KiB to 1GiB");
  EXPECT_EQ(error_of("rate = 50M\n").code(), ErrorCode::kConfiguration);
  EXPECT_EQ(error_of("required = maybe\n").text(),
            "f.conf:1: 'maybe' is not right for 'required': yes or no");
  EXPECT_EQ(error_of("mode = both\n").text(),
            "f.conf:1: 'both' is not right for 'mode': one of checkpoint, backup");
  EXPECT_EQ(error_of("socket = run/x\n").text(),
            "f.conf:1: 'run/x' is not right for 'socket': an absolute path is needed");
  EXPECT_EQ(error_of("user =\n").text(),
            "f.conf:1: '' is not right for 'user': it must not be empty");
}

TEST(Options, SaysWhichRequiredKeyIsMissing) {
  EXPECT_EQ(error_of("mode = backup\n").text(), "f.conf: key 'user' is missing");
}

TEST(Options, RefusesSectionsAndLinesThatAreNoSettings) {
  EXPECT_EQ(error_of("[main]\n").text(), "f.conf:1: '[main]': there are no sections");
  EXPECT_EQ(error_of("\nnonsense\n").text(), "f.conf:2: 'nonsense' is not 'key = value'");
}

TEST(Options, PrintsEffectiveValuesWithTheirOriginAndNoSecret) {
  Options options(table());
  ASSERT_TRUE(options.set_all(*parse_settings("user = me\ntoken = hunter2\n", "f.conf")));
  const std::string text = options.print();
  EXPECT_NE(text.find("user = me  # f.conf:1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("freeze-timeout = 15s  # default\n"), std::string::npos) << text;
  EXPECT_NE(text.find("# socket is not set\n"), std::string::npos) << text;
  EXPECT_NE(text.find("token = ***  # f.conf:2\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("hunter2"), std::string::npos) << text;
}

TEST(Options, ThrowsForNamesThatAreNotInTheTable) {
  const Options options(table());
  EXPECT_THROW((void)options.text("no-such"), std::logic_error);
  EXPECT_THROW((void)options.text("user"), std::logic_error);
  EXPECT_THROW(
      Options({{.name = "x", .type = OptionType::kDuration, .default_value = "soon", .help = ""}}),
      std::logic_error);
}

TEST(ReadSettings, NamesTheFileThatCannotBeRead) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.file("agent.conf");
  EXPECT_EQ(read_settings(path).error().text(),
            "unable to open '" + path + "': No such file or directory");
  ASSERT_TRUE(write_file(path, "a = b\n", 0644, Durable::kNo));
  const auto settings = read_settings(path);
  ASSERT_TRUE(settings);
  ASSERT_EQ(settings->size(), 1U);
  EXPECT_EQ(settings->front().origin, path + ":1");
}

TEST(ReadSettings, TakesAFileThatIsTooLargeForAWrongOne) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.file("agent.conf");
  ASSERT_TRUE(write_file(path, std::string((1U << 20U) + 1, '#'), 0644, Durable::kNo));
  EXPECT_EQ(read_settings(path).error().code(), ErrorCode::kConfiguration);
  EXPECT_EQ(read_settings(path).error().text(), "unable to read '" + path + "': larger than 1 MiB");
}

}  // namespace
}  // namespace holdfast::base
