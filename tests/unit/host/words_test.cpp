// SPDX-License-Identifier: MIT
#include "config/words.h"

#include <gtest/gtest.h>

namespace holdfast::host::config {
namespace {

using Words = std::vector<std::string>;

Words split(const std::string& text) {
  const auto words = split_words(text);
  EXPECT_TRUE(words) << words.error().text();
  return words ? *words : Words{};
}

TEST(SplitWords, SeparatesAtBlanks) {
  EXPECT_EQ(split("/a b\t c  "), (Words{"/a", "b", "c"}));
  EXPECT_EQ(split(" \t "), Words{});
}

TEST(SplitWords, KeepsWhatIsQuoted) {
  EXPECT_EQ(split(R"(/a 'b "c' "d 'e" f'g'h)"), (Words{"/a", "b \"c", "d 'e", "fgh"}));
  EXPECT_EQ(split(R"(/a '' "")"), (Words{"/a", "", ""}));
  EXPECT_EQ(split(R"(a\ b "c\"d" 'e\f')"), (Words{"a b", "c\"d", "e\\f"}));
}

TEST(SplitWords, IsNoShell) {
  EXPECT_EQ(split("/a $HOME *;`b` | c > d #e"),
            (Words{"/a", "$HOME", "*;`b`", "|", "c", ">", "d", "#e"}));
}

TEST(SplitWords, RefusesWhatIsNotClosed) {
  EXPECT_EQ(split_words("/a 'b").error().text(), "the quote ' is not closed");
  EXPECT_EQ(split_words("/a \"b'").error().text(), "the quote \" is not closed");
  EXPECT_EQ(split_words("/a b\\").error().text(), "nothing follows a backslash");
}

}  // namespace
}  // namespace holdfast::host::config
