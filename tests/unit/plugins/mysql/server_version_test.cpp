// SPDX-License-Identifier: MIT
#include "mysql/server_version.h"

#include <gtest/gtest.h>

namespace holdfast::mysql {
namespace {

void expect_version(std::string_view text, Flavour flavour, unsigned major, unsigned minor,
                    unsigned patch) {
  const ServerVersion version = parse_version(text);
  EXPECT_EQ(version.flavour, flavour) << text;
  EXPECT_EQ(version.major, major) << text;
  EXPECT_EQ(version.minor, minor) << text;
  EXPECT_EQ(version.patch, patch) << text;
}

TEST(ServerVersion, IsReadOffTheTextOfEachProduct) {
  expect_version("10.11.19-MariaDB-0+deb12u1-log", Flavour::kMariadb, 10, 11, 19);
  expect_version("8.0.36", Flavour::kMysql, 8, 0, 36);
  expect_version("9.7.4-commercial", Flavour::kMysql, 9, 7, 4);
  expect_version("5.7.21-log", Flavour::kMysql, 5, 7, 21);
  expect_version("8.0.35-27 Percona", Flavour::kMysql, 8, 0, 35);
}

TEST(ServerVersion, PassesOverThePrefixForOldReplicas) {
  expect_version("5.5.5-10.11.4-MariaDB", Flavour::kMariadb, 10, 11, 4);
  expect_version("5.5.5-m3", Flavour::kMysql, 5, 5, 5);
}

TEST(ServerVersion, TakesTheFlavourFromTheWordAndNotFromTheNumber) {
  expect_version("26.10.0", Flavour::kMysql, 26, 10, 0);
  expect_version("11.8.2-MariaDB", Flavour::kMariadb, 11, 8, 2);
}

TEST(ServerVersion, OfNonsenseIsZeroes) {
  expect_version("", Flavour::kMysql, 0, 0, 0);
  expect_version("-1.x", Flavour::kMysql, 0, 0, 0);
}

TEST(ServerVersion, ComparesMajorBeforeMinor) {
  const ServerVersion version = parse_version("10.4.2-MariaDB");
  EXPECT_TRUE(version.at_least(10, 4));
  EXPECT_TRUE(version.at_least(9, 9));
  EXPECT_FALSE(version.at_least(10, 5));
  EXPECT_FALSE(version.at_least(11, 0));
}

TEST(ServerVersion, FlavoursHaveTheirProductsNames) {
  EXPECT_EQ(name_of(Flavour::kMariadb), "MariaDB");
  EXPECT_EQ(name_of(Flavour::kMysql), "MySQL");
}

}  // namespace
}  // namespace holdfast::mysql
