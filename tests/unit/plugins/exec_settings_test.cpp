// SPDX-License-Identifier: MIT
#include "exec/exec_settings.h"

#include "exec_fixture.h"

namespace holdfast::exec {
namespace {

using ExecSettingsFile = ExecFixture;

TEST_F(ExecSettingsFile, IsReadWithTheKeysThatEveryResourceHas) {
  const std::string file = write("a.conf",
                                 "plugin = exec\nrequired = no\norder = 3\nprogram = /bin/x\n"
                                 "argument = --one\nargument = two words\nas-root = yes\n",
                                 0644);
  const auto settings = read_exec_settings(file);
  ASSERT_TRUE(settings) << settings.error().text();
  EXPECT_EQ(settings->program, "/bin/x");
  EXPECT_EQ(settings->arguments, (Lines{"--one", "two words"}));
  EXPECT_TRUE(settings->as_root);
  EXPECT_EQ(settings->timeout, std::chrono::seconds(10));
  EXPECT_EQ(settings->execd_socket, "/run/holdfast-exec/exec.sock");
}

TEST_F(ExecSettingsFile, OfAnotherPluginIsRefused) {
  const std::string file = write("a.conf", "plugin = mysql\n", 0644);
  const auto settings = read_exec_settings(file);
  ASSERT_FALSE(settings);
  EXPECT_EQ(settings.error().text(), file + ": not a resource of plugin 'exec'");
}

TEST_F(ExecSettingsFile, NeedsAProgramOrADirectory) {
  const std::string file = write("a.conf", "plugin = exec\n", 0644);
  const auto settings = read_exec_settings(file);
  ASSERT_FALSE(settings);
  EXPECT_EQ(settings.error().code(), base::ErrorCode::kConfiguration);
  EXPECT_EQ(settings.error().text(), file + ": one of 'program' and 'directory' is needed");
}

TEST_F(ExecSettingsFile, MustNotHaveBoth) {
  const std::string file =
      write("a.conf", "plugin = exec\nprogram = /bin/x\ndirectory = /etc\n", 0644);
  const auto settings = read_exec_settings(file);
  ASSERT_FALSE(settings);
  EXPECT_EQ(settings.error().text(),
            file + ": one of 'program' and 'directory' is needed, not both");
}

TEST_F(ExecSettingsFile, HasNoArgumentsForADirectory) {
  const std::string file = write("a.conf", "plugin = exec\ndirectory = /etc\nargument = a\n", 0644);
  const auto settings = read_exec_settings(file);
  ASSERT_FALSE(settings);
  EXPECT_EQ(settings.error().text(),
            file + ": 'argument' belongs to 'program', not to 'directory'");
}

TEST_F(ExecSettingsFile, WithARelativeProgramIsRefusedWithItsLine) {
  const std::string file = write("a.conf", "plugin = exec\nprogram = hold\n", 0644);
  const auto settings = read_exec_settings(file);
  ASSERT_FALSE(settings);
  EXPECT_NE(settings.error().text().find(file + ":2: "), std::string::npos)
      << settings.error().text();
}

}  // namespace
}  // namespace holdfast::exec
