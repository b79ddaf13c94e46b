// SPDX-License-Identifier: MIT
#include "base/text.h"

#include <gtest/gtest.h>

namespace holdfast::base {
namespace {

TEST(Printable, KeepsOrdinaryTextAndUtf8) {
  EXPECT_EQ(printable("Grüße, 世界 🎈 \"quoted\""), "Grüße, 世界 🎈 \"quoted\"");
}

TEST(Printable, ShowsControlsAndBrokenBytesAsHex) {
  EXPECT_EQ(printable("a\nb\x1b[31m\x7f"), "a\\x0ab\\x1b[31m\\x7f");
  EXPECT_EQ(printable("\xff\xc3"), "\\xff\\xc3");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
}

TEST(Printable, ShowsC1ControlsOverlongFormsAndSurrogatesAsHex) {
  EXPECT_EQ(printable("\xc2\x9b"), "\\xc2\\x9b");
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");
  EXPECT_EQ(printable("\xe0\x80\xaf"), "\\xe0\\x80\\xaf");
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");
  EXPECT_EQ(printable("\xf0\x80\x80\x80"), "\\xf0\\x80\\x80\\x80");
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
  EXPECT_EQ(printable("\xf5\x80\x80\x80"), "\\xf5\\x80\\x80\\x80");
}

TEST(Printable, CutsAtTheLimitWithoutBreakingACharacter) {
  EXPECT_EQ(printable("abcdef", 4), "abcd…");
  EXPECT_EQ(printable("abcä", 4), "abc…");
  EXPECT_EQ(printable("abcd", 4), "abcd");
}

TEST(InQuotes, ShowsWhatCannotBePrintedAsHex) {
  EXPECT_EQ(in_quotes("/srv/a b"), "'/srv/a b'");
  EXPECT_EQ(in_quotes("a\nb"), "'a\\x0ab'");
  EXPECT_EQ(in_quotes(""), "''");
}

TEST(DirectoryOf, IsWhatStandsBeforeTheLastSlash) {
  EXPECT_EQ(directory_of("/srv/vm/disk.qcow2"), "/srv/vm");
  EXPECT_EQ(directory_of("/disk.qcow2"), "/");
  EXPECT_EQ(directory_of("vm/disk.qcow2"), "vm");
  EXPECT_EQ(directory_of("disk.qcow2"), ".");
  EXPECT_EQ(directory_of("/srv/vm/"), "/srv/vm");
}

TEST(FormatBytes, HasThreeFiguresAndBinaryUnits) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1024), "1 KiB");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes(1048575), "1 MiB");
  EXPECT_EQ(format_bytes(UINT64_MAX), "16 EiB");
}

TEST(Trimmed, TakesBlanksOffBothEnds) {
  EXPECT_EQ(trimmed(" \t a b \r\n"), "a b");
  EXPECT_EQ(trimmed(" \t"), "");
  EXPECT_EQ(trimmed(""), "");
}

TEST(PlainName, IsWhatMayBecomeAFileName) {
  EXPECT_TRUE(is_plain_name("db-1.main_2"));
  EXPECT_TRUE(is_plain_name(std::string(64, 'a')));
  for (const char* name : {"", ".", "..", ".hidden", "-rf", "a/b", "a b", "a\n", "ä", "_x"}) {
    EXPECT_FALSE(is_plain_name(name)) << name;
  }
  EXPECT_FALSE(is_plain_name(std::string(65, 'a')));
}

}  // namespace
}  // namespace holdfast::base
