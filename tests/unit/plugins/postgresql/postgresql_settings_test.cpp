// SPDX-License-Identifier: MIT
#include "postgresql/postgresql_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "support/temporary_directory.h"

namespace holdfast::postgresql {
namespace {

using base::ErrorCode;
using ::testing::ElementsAre;
using ::testing::Pair;

base::Result<PostgresqlSettings> read(
    const std::vector<std::pair<std::string, std::string>>& pairs) {
  base::Options options(postgresql_option_table());
  for (const auto& [key, value] : pairs) {
    auto set = options.set({key, value, "test.conf:1"});
    if (!set) return std::move(set).error();
  }
  return read_postgresql_settings(options);
}

TEST(PostgresqlSettings, OfNothingAreTheDefaultsOfDebian) {
  const auto settings = read({});
  ASSERT_TRUE(settings);
  EXPECT_THAT(settings->connect, ElementsAre(Pair("host", "/run/postgresql"),
                                             Pair("user", "holdfast"), Pair("dbname", "postgres")));
  EXPECT_EQ(settings->target, "/run/postgresql");
  EXPECT_EQ(settings->mode, Mode::kCheckpoint);
  EXPECT_EQ(settings->checkpoint_timeout, base::Millis(10000));
}

TEST(PostgresqlSettings, OfAServiceLeaveTheRestToIt) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.file("services");
  ASSERT_TRUE(base::write_file(path, "[main]\nhost=db\nuser=u\n", 0644, base::Durable::kNo));
  const auto settings =
      read({{"service", "main"}, {"service-file", path}, {"user", "v"}, {"mode", "backup"}});
  ASSERT_TRUE(settings);
  EXPECT_THAT(settings->connect, ElementsAre(Pair("host", "db"), Pair("user", "v")));
  EXPECT_EQ(settings->target, "main");
  EXPECT_EQ(settings->mode, Mode::kBackup);
}

TEST(PostgresqlSettings, OfAHostHaveNoSocket) {
  const auto settings = read({{"host", "127.0.0.1"}, {"port", "5433"}, {"user", "u"}});
  ASSERT_TRUE(settings);
  EXPECT_THAT(settings->connect, ElementsAre(Pair("host", "127.0.0.1"), Pair("port", "5433"),
                                             Pair("user", "u"), Pair("dbname", "postgres")));
  EXPECT_EQ(settings->target, "127.0.0.1:5433");
}

TEST(PostgresqlSettings, WithSocketAndHostAreRefused) {
  const auto refused = read({{"socket", "/s"}, {"host", "h"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kConfiguration);
}

TEST(PostgresqlSettings, PassTlsOnToTheLibrary) {
  const auto settings = read({{"host", "db"},
                              {"sslmode", "verify-full"},
                              {"sslrootcert", "/ca"},
                              {"sslcert", "/cert"},
                              {"sslkey", "/key"}});
  ASSERT_TRUE(settings);
  EXPECT_THAT(settings->connect,
              ::testing::IsSupersetOf({Pair("sslmode", "verify-full"), Pair("sslrootcert", "/ca"),
                                       Pair("sslcert", "/cert"), Pair("sslkey", "/key")}));
}

TEST(PostgresqlSettings, OfTlsThatWouldProtectNothingAreRefused) {
  const auto refused = [](const std::vector<std::pair<std::string, std::string>>& pairs) {
    const auto settings = read(pairs);
    return settings ? "" : settings.error().text();
  };
  EXPECT_EQ(refused({{"sslmode", "require"}}), "key 'sslmode' needs key 'host' or 'service'");
  EXPECT_EQ(refused({{"socket", "/s"}, {"sslrootcert", "/ca"}}),
            "key 'sslrootcert' needs key 'host' or 'service'");
  EXPECT_EQ(refused({{"host", "db"}, {"sslcert", "/c"}}),
            "keys 'sslcert' and 'sslkey' need each other");
  EXPECT_EQ(refused({{"host", "db"}, {"sslmode", "verify-ca"}}),
            "key 'sslmode' needs key 'sslrootcert' to verify the server with");
  EXPECT_EQ(refused({{"service-file", "/x"}}), "key 'service-file' needs key 'service'");
}

TEST(PostgresqlSettings, WithAPasswordFileThatIsOpenOrMissingAreRefused) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.file("pgpass");
  EXPECT_EQ(read({{"password-file", path}}).error().code(), ErrorCode::kNotFound);
  ASSERT_TRUE(base::write_file(path, "*:*:*:*:x\n", 0644, base::Durable::kNo));
  EXPECT_EQ(read({{"password-file", path}}).error().code(), ErrorCode::kPermission);
  ASSERT_TRUE(base::write_file(path, "*:*:*:*:x\n", 0600, base::Durable::kNo));
  const auto settings = read({{"password-file", path}});
  ASSERT_TRUE(settings);
  EXPECT_THAT(settings->connect, ::testing::Contains(Pair("passfile", path)));
}

TEST(PostgresqlManualPage, DescribesEveryKeyWithItsDefaultAndNoOther) {
  const auto page = base::read_file(HOLDFAST_MANUAL_PAGE, std::size_t{1} << 20U);
  ASSERT_TRUE(page);
  std::size_t items = 0;
  for (std::size_t at = 0; (at = page->find("\n=item B<", at)) != std::string::npos; ++at)
    ++items;
  EXPECT_EQ(items, postgresql_option_table().size());
  for (const base::OptionSpec& spec : postgresql_option_table()) {
    const std::size_t item = page->find("=item B<" + spec.name + "> = ");
    ASSERT_NE(item, std::string::npos) << spec.name;
    const std::string entry = page->substr(item, page->find("\n=", item + 1) - item);
    EXPECT_NE(entry.find("Since " + spec.since + "."), std::string::npos) << entry;
    if (!spec.default_value) continue;
    EXPECT_NE(entry.find("Default: C<" + *spec.default_value + ">"), std::string::npos) << entry;
  }
}

}  // namespace
}  // namespace holdfast::postgresql
