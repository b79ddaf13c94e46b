// SPDX-License-Identifier: MIT
#include "config/settings.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "support/temporary_directory.h"

namespace holdfast::host::config {
namespace {

using base::ErrorCode;
using base::Millis;

class SettingsTest : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directory(directory_.file("vms.d")); }
  void write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(base::write_file(directory_.file(name), text, 0600, base::Durable::kNo));
  }
  base::Result<Settings> load(const std::vector<base::Setting>& overrides = {}) {
    return load_settings(directory_.path(), "web1", overrides);
  }
  support::TemporaryDirectory directory_;
};

TEST_F(SettingsTest, HaveDefaultsWithoutAnyFile) {
  const auto settings = load();
  ASSERT_TRUE(settings) << settings.error().text();
  EXPECT_EQ(settings->require, "filesystem");
  EXPECT_EQ(settings->prefer, "application");
  EXPECT_EQ(settings->freeze_timeout, Millis(30000));
  EXPECT_EQ(settings->state_directory, "/var/lib/holdfast-host");
  EXPECT_EQ(settings->qmp, "");
}

TEST_F(SettingsTest, TakeTheCommandLineBeforeTheMachineBeforeTheHost) {
  write("host.conf", "require = crash\nfreeze-timeout = 5s\nthaw-timeout = 6s\n");
  write("vms.d/web1.conf", "qmp = /q\nfreeze-timeout = 7s\nrequire = filesystem\n");
  const auto settings = load({{"require", "application", "--require"}});
  ASSERT_TRUE(settings) << settings.error().text();
  EXPECT_EQ(settings->require, "application");
  EXPECT_EQ(settings->freeze_timeout, Millis(7000));
  EXPECT_EQ(settings->thaw_timeout, Millis(6000));
  EXPECT_EQ(settings->qmp, "/q");
  EXPECT_NE(settings->printed.find("require = application  # --require"), std::string::npos);
}

TEST_F(SettingsTest, NameFileAndLineOfAMistake) {
  write("vms.d/web1.conf", "qmp = /q\nfreez-timeout = 7s\n");
  const auto unknown = load();
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code(), ErrorCode::kConfiguration);
  EXPECT_EQ(unknown.error().text(),
            directory_.file("vms.d/web1.conf") + ":2: unknown key 'freez-timeout'");
  EXPECT_EQ(unknown.error().hint(), "did you mean 'freeze-timeout'?");
}

TEST_F(SettingsTest, RefuseARepeatedKeyAndAMachinesKeyInHostConf) {
  write("vms.d/web1.conf", "qmp = /q\nqmp = /r\n");
  EXPECT_FALSE(load());
  write("vms.d/web1.conf", "");
  write("host.conf", "qmp = /q\n");
  const auto settings = load();
  ASSERT_FALSE(settings);
  EXPECT_EQ(settings.error().text(), directory_.file("host.conf") + ":1: unknown key 'qmp'");
}

TEST_F(SettingsTest, CheckAFileEvenWhereTheCommandLineGoesBeforeIt) {
  write("host.conf", "require = perhaps\n");
  EXPECT_FALSE(load({{"require", "crash", "--require"}}));
}

TEST_F(SettingsTest, CallAMistakeOnTheCommandLineUsage) {
  const auto settings = load({{"freeze-timeout", "15", "--freeze-timeout"}});
  ASSERT_FALSE(settings);
  EXPECT_EQ(settings.error().code(), ErrorCode::kUsage);
}

TEST_F(SettingsTest, ListTheConfiguredMachines) {
  write("vms.d/web2.conf", "");
  write("vms.d/web1.conf", "");
  write("vms.d/web1.conf~", "");
  write("vms.d/.hidden.conf", "");
  EXPECT_EQ(*configured_vms(directory_.path()), (std::vector<std::string>{"web1", "web2"}));
  EXPECT_TRUE(configured_vms("/nonexistent")->empty());
}

}  // namespace
}  // namespace holdfast::host::config
