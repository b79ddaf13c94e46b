// SPDX-License-Identifier: MIT
#include "redis/redis_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "support/temporary_directory.h"

namespace holdfast::redis {
namespace {

using base::ErrorCode;

base::Result<RedisSettings> read(const std::vector<std::pair<std::string, std::string>>& pairs) {
  base::Options options(redis_option_table());
  for (const auto& [key, value] : pairs) {
    auto set = options.set({key, value, "test.conf:1"});
    if (!set) return std::move(set).error();
  }
  return read_redis_settings(options);
}

TEST(RedisSettings, OfNothingAreTheDefaultsOfDebian) {
  const auto settings = read({});
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->connect.endpoint.text(), "127.0.0.1:6379");
  EXPECT_EQ(settings->connect.user, "");
  EXPECT_TRUE(settings->connect.password.empty());
  EXPECT_EQ(settings->save, Save::kBefore);
  EXPECT_EQ(settings->save_timeout, base::Millis(10000));
  EXPECT_EQ(settings->settle_timeout, base::Millis(2000));
}

TEST(RedisSettings, AreTakenAsGiven) {
  const auto settings = read({{"host", "::1"}, {"port", "7000"}, {"user", "u"}, {"save", "held"}});
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->connect.endpoint.text(), "::1:7000");
  EXPECT_EQ(settings->connect.user, "u");
  EXPECT_EQ(settings->save, Save::kHeld);
  EXPECT_EQ(read({{"save", "no"}})->save, Save::kNo);
  EXPECT_EQ(read({{"socket", "/s"}})->connect.endpoint.text(), "/s");
}

TEST(RedisSettings, WithSocketAndTcpAreRefused) {
  for (const auto& [key, value] : {std::pair("host", "h"), std::pair("port", "1")}) {
    const auto refused = read({{"socket", "/s"}, {key, value}});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::kConfiguration);
  }
}

TEST(RedisSettings, WithAPasswordFileThatIsOpenMissingOrEmptyAreRefused) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.file("password");
  EXPECT_EQ(read({{"password-file", path}}).error().code(), ErrorCode::kNotFound);
  ASSERT_TRUE(base::write_file(path, "secret\n", 0644, base::Durable::kNo));
  EXPECT_EQ(read({{"password-file", path}}).error().code(), ErrorCode::kPermission);
  ASSERT_TRUE(base::write_file(path, "\nsecret\n", 0600, base::Durable::kNo));
  EXPECT_EQ(read({{"password-file", path}}).error().text(),
            "unable to use key 'password-file': its first line is empty");
  ASSERT_TRUE(base::write_file(path, "se cret # x\nmore\n", 0600, base::Durable::kNo));
  const auto settings = read({{"password-file", path}});
  ASSERT_TRUE(settings);
  EXPECT_STREQ(settings->connect.password.reveal(), "se cret # x");
}

TEST(RedisManualPage, DescribesEveryKeyWithItsDefaultAndNoOther) {
  const auto page = base::read_file(HOLDFAST_MANUAL_PAGE, std::size_t{1} << 20U);
  ASSERT_TRUE(page);
  std::size_t items = 0;
  for (std::size_t at = 0; (at = page->find("\n=item B<", at)) != std::string::npos; ++at)
    ++items;
  EXPECT_EQ(items, redis_option_table().size());
  for (const base::OptionSpec& spec : redis_option_table()) {
    const std::size_t item = page->find("=item B<" + spec.name + "> = ");
    ASSERT_NE(item, std::string::npos) << spec.name;
    const std::string entry = page->substr(item, page->find("\n=item", item + 1) - item);
    EXPECT_NE(entry.find("Since " + spec.since + "."), std::string::npos) << entry;
    if (!spec.default_value) continue;
    EXPECT_NE(entry.find("Default: C<" + *spec.default_value + ">"), std::string::npos) << entry;
  }
}

}  // namespace
}  // namespace holdfast::redis
