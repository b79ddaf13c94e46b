// SPDX-License-Identifier: MIT
#include "base/json_codec.h"

#include <gtest/gtest.h>

namespace holdfast::base {
namespace {

TEST(ParseJson, KeepsTheOrderOfMembers) {
  const auto json = parse_json(R"({"b": 1, "a": [true, "x"]})");
  ASSERT_TRUE(json);
  EXPECT_EQ(to_line(*json), R"({"b":1,"a":[true,"x"]})");
}

TEST(ParseJson, RefusesWhatIsNotJson) {
  for (const char* text : {"", "{", "nonsense", "{\"a\":1}x", "\"\xff\"", "[1,]"}) {
    const auto json = parse_json(text);
    ASSERT_FALSE(json) << text;
    EXPECT_EQ(json.error().code(), ErrorCode::kProtocol) << text;
  }
}

TEST(ParseJson, RefusesWhatIsTooLargeOrTooDeep) {
  const JsonLimits limits{.size = 20, .depth = 3};
  EXPECT_TRUE(parse_json("[[[1]]]", limits));
  EXPECT_EQ(parse_json("[[[[1]]]]", limits).error().text(),
            "unable to read JSON: nested deeper than 3 levels");
  EXPECT_EQ(parse_json("[1,2,3,4,5,6,7,8,9,0]", limits).error().text(),
            "unable to read JSON: larger than 20 B");
}

TEST(ParseJson, CountsNoBracketsInsideStrings) {
  EXPECT_TRUE(parse_json(R"(["[[[[", "\"[["])", {.size = 100, .depth = 1}));
}

TEST(ParseJson, SurvivesAMillionBrackets) {
  const std::string hostile(std::size_t{1} << 20U, '[');
  EXPECT_EQ(parse_json(hostile).error().code(), ErrorCode::kTooLarge);
}

std::string object_with(std::size_t members) {
  std::string text = "{";
  for (std::size_t i = 0; i < members; ++i)
    text += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":{\":\":[]}";
  return text + "}";
}

TEST(ParseJson, RefusesAnObjectWithTooManyMembers) {
  const JsonLimits limits{.members = 100};
  EXPECT_TRUE(parse_json(object_with(100), limits));
  EXPECT_TRUE(parse_json("[" + object_with(100) + "," + object_with(100) + "]", limits));
  EXPECT_EQ(parse_json(object_with(101), limits).error().text(),
            "unable to read JSON: an object with more than 100 members");
  EXPECT_EQ(parse_json("[[" + object_with(101)).error().code(), ErrorCode::kProtocol);
}

// The time of a megabyte of members, which would grow with their square, is bounded by the suite's.
TEST(ParseJson, SurvivesAHundredThousandMembers) {
  EXPECT_EQ(parse_json(object_with(50000)).error().code(), ErrorCode::kTooLarge);
}

TEST(ToLine, EscapesWhatCouldMoveACursor) {
  const Json json{{"a\x7f", "\x1b[2J \xc2\x9b\xc2\x80 \xc2\xa0\xc3\xa9 \\u0000"}};
  EXPECT_EQ(to_line(json),
            "{\"a\\u007f\":\"\\u001b[2J \\u009b\\u0080 \xc2\xa0\xc3\xa9 \\\\u0000\"}");
  EXPECT_EQ(*parse_json(to_line(json)), json);
  EXPECT_EQ(*parse_json(to_document(json)), json);
  EXPECT_EQ(to_document(json).find('\x7f'), std::string::npos);
}

TEST(Members, AreCheckedForPresenceAndType) {
  const Json json = *parse_json(R"({"s": "x", "i": 7, "b": true, "o": {}, "a": [], "f": 1.5,
                                    "big": 18446744073709551615})");
  EXPECT_EQ(*string_member(json, "s"), "x");
  EXPECT_EQ(*integer_member(json, "i"), 7);
  EXPECT_EQ(*bool_member(json, "b"), true);
  EXPECT_TRUE(object_member(json, "o"));
  EXPECT_TRUE(array_member(json, "a"));
  EXPECT_EQ(string_member(json, "i").error().text(), "'i' is missing or is not a string");
  EXPECT_EQ(string_member(json, "none").error().text(), "'none' is missing or is not a string");
  EXPECT_FALSE(integer_member(json, "f"));
  EXPECT_FALSE(integer_member(json, "big"));
  EXPECT_FALSE(bool_member(json, "i"));
  EXPECT_FALSE(object_member(json, "a"));
  EXPECT_FALSE(array_member(json, "o"));
  EXPECT_FALSE(string_member(Json::array(), "s"));
}

TEST(ToDocument, IsForPeople) {
  EXPECT_EQ(to_document(Json{{"a", 1}}), "{\n  \"a\": 1\n}\n");
}

TEST(ToLine, ReplacesBytesThatAreNotUtf8) {
  Json json;
  json["x"] = "a\xff";
  EXPECT_EQ(to_line(json), "{\"x\":\"a\xef\xbf\xbd\"}");
}

}  // namespace
}  // namespace holdfast::base
