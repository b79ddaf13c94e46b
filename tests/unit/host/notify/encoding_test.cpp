// SPDX-License-Identifier: MIT
#include "notify/encoding.h"

#include <gtest/gtest.h>

#include <sstream>

namespace holdfast::host::notify {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);)
    lines.push_back(line);
  return lines;
}

TEST(HeaderValue, LeavesAShortPlainTextAsItIs) {
  EXPECT_EQ(header_value("Subject", "kvm1: backup done: web1"), "kvm1: backup done: web1");
}

TEST(HeaderValue, FoldsALongPlainTextBetweenWords) {
  std::string text;
  for (int i = 0; i < 40; ++i)
    text += "word" + std::to_string(i) + " ";
  text.pop_back();
  const std::string value = header_value("Subject", text);
  std::string unfolded;
  for (const std::string& line : lines_of("Subject: " + value)) {
    EXPECT_LE(line.size(), 76U);
    unfolded += line;
  }
  EXPECT_EQ(unfolded, "Subject: " + text);
}

TEST(HeaderValue, EncodesWhatIsNotAsciiAndWhatWouldBeTakenForEncoded) {
  EXPECT_EQ(header_value("Subject", "größe"), "=?utf-8?B?Z3LDtsOfZQ==?=");
  EXPECT_EQ(header_value("Subject", "=?x?="), "=?utf-8?B?PT94Pz0=?=");
  EXPECT_EQ(header_value("Subject", "a b…"), "=?utf-8?B?YSBi4oCm?=");
}

TEST(HeaderValue, CutsNoCharacterInTwoAndNoLineTooLong) {
  std::string text = "x";
  for (int i = 0; i < 60; ++i)
    text += "😀";
  const auto lines = lines_of("Subject: " + header_value("Subject", text));
  EXPECT_GT(lines.size(), 4U);
  for (const std::string& line : lines) {
    EXPECT_LE(line.size(), 76U);
    // 'x' and four bytes each: whole characters are 4n or 4n+1 bytes.
    EXPECT_NE(line.find("=?utf-8?B?"), std::string::npos);
  }
}

TEST(QuotedPrintable, EncodesWhatTheLineCannotCarry) {
  EXPECT_EQ(quoted_printable("a=b\n"), "a=3Db\n");
  EXPECT_EQ(quoted_printable("ö \n"), "=C3=B6=20\n");
  EXPECT_EQ(quoted_printable("From here\n"), "=46rom here\n");
  EXPECT_EQ(quoted_printable("no end"), "no end\n");
}

TEST(QuotedPrintable, BreaksLongLinesSoftly) {
  EXPECT_EQ(quoted_printable(std::string(76, 'x') + "\n"), std::string(76, 'x') + "\n");
  EXPECT_EQ(quoted_printable(std::string(77, 'x') + "\n"), std::string(75, 'x') + "=\nxx\n");
  for (const std::string& line : lines_of(quoted_printable(std::string(2000, '\xC3'))))
    EXPECT_LE(line.size(), 76U);
}

TEST(IsPlain, KnowsWhatCanGoAsItIs) {
  EXPECT_TRUE(is_plain("a\n" + std::string(78, 'x') + "\n"));
  EXPECT_FALSE(is_plain(std::string(79, 'x')));
  EXPECT_FALSE(is_plain("a\nFrom b\n"));
  EXPECT_FALSE(is_plain("ö"));
}

TEST(Wrapped, KeepsWordsWholeAndCountsCharacters) {
  EXPECT_EQ(wrapped("a  b", 2), "  a b\n");
  const std::string path = "/" + std::string(90, 'p');
  EXPECT_EQ(wrapped("see " + path + " there", 4), "    see\n    " + path + "\n    there\n");
  std::string umlauts;
  for (int i = 0; i < 38; ++i)
    umlauts += "ö ";
  EXPECT_EQ(lines_of(wrapped(umlauts, 0)).size(), 1U);
}

}  // namespace
}  // namespace holdfast::host::notify
