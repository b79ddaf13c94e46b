// SPDX-License-Identifier: MIT
#include "definition/command_line.h"

#include <gtest/gtest.h>

namespace holdfast::host::definition {
namespace {

TEST(CommandLine, TakesOneDashAndTwoForTheSameOption) {
  EXPECT_EQ(option_of("--object"), "-object");
  EXPECT_EQ(option_of("-object"), "-object");
  EXPECT_EQ(option_of("object"), "");
  EXPECT_EQ(option_of("-"), "");
}

TEST(CommandLine, CutsAtSingleCommasAlone) {
  EXPECT_EQ(pieces_of("a=b,,c,d,e=,,"), (std::vector<std::string_view>{"a=b,,c", "d", "e=,,"}));
  EXPECT_EQ(pieces_of(""), std::vector<std::string_view>{""});
}

TEST(CommandLine, HalvesAndDoublesCommas) {
  EXPECT_EQ(without_doubled_commas("a,,b,,,,c"), "a,b,,c");
  EXPECT_EQ(with_doubled_commas("a,b,,c"), "a,,b,,,,c");
}

TEST(CommandLine, FindsAKeyInEitherForm) {
  EXPECT_EQ(key_in("socket,id=chrtpm,path=/run/a,,b.sock", "path"), "/run/a,b.sock");
  EXPECT_EQ(key_in(R"({"backend": "socket", "id": "chrtpm"})", "id"), "chrtpm");
  EXPECT_EQ(key_in("socket,id=chrtpm", "path"), std::nullopt);
  EXPECT_EQ(key_in("{broken", "path"), std::nullopt);
}

TEST(CommandLine, FindsEveryValueOfAnOption) {
  const Words words{"qemu", "-chardev", "a", "--chardev", "b", "-device", "c", "-chardev"};
  EXPECT_EQ(values_of(words, "-chardev"), (std::vector<std::string>{"a", "b"}));
}

}  // namespace
}  // namespace holdfast::host::definition
