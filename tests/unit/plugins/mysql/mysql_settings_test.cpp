// SPDX-License-Identifier: MIT
#include "mysql/mysql_settings.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "support/temporary_directory.h"

namespace holdfast::mysql {
namespace {

using base::ErrorCode;

class MysqlSettingsOf : public ::testing::Test {
 protected:
  base::Result<MysqlSettings> read(const std::vector<std::pair<std::string, std::string>>& pairs) {
    base::Options options(mysql_option_table());
    for (const auto& [key, value] : pairs) {
      auto set = options.set({key, value, "test.conf:1"});
      if (!set) return std::move(set).error();
    }
    return read_mysql_settings(options);
  }

  std::string file(const std::string& content, mode_t mode = 0600) {
    const std::string path = directory_.file("secret");
    EXPECT_TRUE(base::write_file(path, content, mode, base::Durable::kNo));
    return path;
  }

  support::TemporaryDirectory directory_;
};

TEST_F(MysqlSettingsOf, NothingAreTheDefaultsOfDebian) {
  const auto settings = read({});
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->connect.socket, "/run/mysqld/mysqld.sock");
  EXPECT_EQ(settings->connect.user, "holdfast");
  EXPECT_TRUE(settings->connect.password.empty());
  EXPECT_EQ(settings->connect.target(), "/run/mysqld/mysqld.sock");
  EXPECT_EQ(settings->connect.tls.mode, TlsMode::kAsItIs);
  EXPECT_EQ(settings->lock, LockSetting::kFtwrl);
  EXPECT_EQ(settings->long_statements.policy, LongStatementPolicy::kWait);
  EXPECT_EQ(settings->lock_timeout, base::Millis(2000));
  EXPECT_EQ(settings->long_statements.threshold, base::Millis(1000));
  EXPECT_EQ(settings->long_statements.wait, base::Millis(5000));
}

TEST_F(MysqlSettingsOf, AHostHaveNoSocket) {
  const auto settings = read({{"host", "127.0.0.1"}, {"port", "3307"}});
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->connect.socket, "");
  EXPECT_EQ(settings->connect.target(), "127.0.0.1:3307");
}

TEST_F(MysqlSettingsOf, AnOptionFileLeaveTheRestToIt) {
  const std::string path = file("[client]\nuser=x\n");
  const auto settings = read({{"option-file", path}});
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->connect.socket, "");
  EXPECT_EQ(settings->connect.user, "");
  EXPECT_EQ(settings->connect.option_group, "holdfast");
  EXPECT_EQ(settings->connect.target(), path);
}

TEST_F(MysqlSettingsOf, APasswordFileTakeItsFirstLine) {
  const auto settings = read({{"password-file", file("pass word#\nmore\n")}});
  ASSERT_TRUE(settings);
  EXPECT_STREQ(settings->connect.password.reveal(), "pass word#");
}

TEST_F(MysqlSettingsOf, APasswordFileWithoutALineBreakWork) {
  const auto settings = read({{"password-file", file("pass")}});
  ASSERT_TRUE(settings);
  EXPECT_STREQ(settings->connect.password.reveal(), "pass");
}

TEST_F(MysqlSettingsOf, TlsAreReadWithTheirFiles) {
  const std::string path = file("pem");
  const auto settings = read({{"host", "h"},
                              {"tls", "verify-identity"},
                              {"tls-ca", path},
                              {"tls-cert", path},
                              {"tls-key", path}});
  ASSERT_TRUE(settings) << settings.error().one_line();
  EXPECT_EQ(settings->connect.tls.mode, TlsMode::kVerifyIdentity);
  EXPECT_EQ(settings->connect.tls.ca, path);
  EXPECT_EQ(settings->connect.tls.certificate, path);
  EXPECT_EQ(settings->connect.tls.key, path);
}

TEST_F(MysqlSettingsOf, ATlsFileThatIsMissingOrAnOpenKeyAreRefused) {
  const auto missing = read({{"host", "h"}, {"tls", "verify-ca"}, {"tls-ca", "/no/ca.pem"}});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().text(),
            "unable to use key 'tls-ca': unable to open '/no/ca.pem': No such file or directory");
  const std::string open = file("pem", 0644);
  const auto refused =
      read({{"host", "h"}, {"tls", "required"}, {"tls-cert", open}, {"tls-key", open}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().text(), "unable to use key 'tls-key': unable to use '" + open +
                                        "': others than its owner may read or write it");
}

TEST_F(MysqlSettingsOf, EachLockAndPolicyAreKnownByTheirWords) {
  const auto settings = read({{"lock", "auto"}, {"long-statement-policy", "kill-select"}});
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->lock, LockSetting::kAuto);
  EXPECT_EQ(settings->long_statements.policy, LongStatementPolicy::kKillSelect);
  EXPECT_TRUE(settings->long_statements.kills());
  EXPECT_EQ(read({{"lock", "backup-stage"}})->lock, LockSetting::kBackupStage);
  EXPECT_EQ(read({{"lock", "instance"}})->lock, LockSetting::kInstance);
  EXPECT_FALSE(read({{"long-statement-policy", "fail"}})->long_statements.kills());
  EXPECT_TRUE(read({{"long-statement-policy", "kill-all"}})->long_statements.kills());
}

TEST_F(MysqlSettingsOf, AnOpenPasswordFileAreRefused) {
  const std::string path = file("pass", 0604);
  const auto refused = read({{"password-file", path}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kPermission);
  EXPECT_EQ(refused.error().text(), "unable to use key 'password-file': unable to use '" + path +
                                        "': others than its owner may read or write it");
}

TEST_F(MysqlSettingsOf, KeysThatExcludeEachOtherAreRefused) {
  const std::string path = file("pass");
  for (const auto& pairs : std::vector<std::vector<std::pair<std::string, std::string>>>{
           {{"socket", "/s"}, {"host", "h"}},
           {{"port", "1"}},
           {{"option-group", "g"}},
           {{"tls", "required"}},
           {{"host", "h"}, {"tls-ca", path}},
           {{"host", "h"}, {"tls", "off"}, {"tls-ca", path}},
           {{"host", "h"}, {"tls", "required"}, {"tls-cert", path}},
           {{"host", "h"}, {"tls", "required"}, {"tls-key", path}},
           {{"host", "h"}, {"tls", "verify-ca"}},
           {{"host", "h"}, {"tls", "verify-identity"}},
           {{"password-file", path}, {"option-file", path}}}) {
    const auto refused = read(pairs);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::kConfiguration);
  }
}

TEST(MysqlManualPage, DescribesEveryKeyWithItsDefaultAndNoOther) {
  const auto page = base::read_file(HOLDFAST_MANUAL_PAGE, std::size_t{1} << 20U);
  ASSERT_TRUE(page);
  std::size_t items = 0;
  for (std::size_t at = 0; (at = page->find("\n=item B<", at)) != std::string::npos; ++at)
    ++items;
  EXPECT_EQ(items, mysql_option_table().size());
  for (const base::OptionSpec& spec : mysql_option_table()) {
    const std::size_t item = page->find("=item B<" + spec.name + "> = ");
    ASSERT_NE(item, std::string::npos) << spec.name;
    const std::string entry = page->substr(item, page->find("\n=", item + 1) - item);
    EXPECT_NE(entry.find("Since " + spec.since + "."), std::string::npos) << entry;
    if (!spec.default_value || spec.choices.size() == 1) continue;
    EXPECT_NE(entry.find("Default: C<" + *spec.default_value + ">"), std::string::npos) << entry;
  }
}

}  // namespace
}  // namespace holdfast::mysql
