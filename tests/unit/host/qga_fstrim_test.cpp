// SPDX-License-Identifier: MIT
#include "qga/fstrim.h"

#include <gtest/gtest.h>

#include <limits>

#include "support/scripted_peer.h"

namespace holdfast::host::qga {
namespace {

using base::Deadline;
using base::ErrorCode;
using base::Json;
using base::Millis;
using namespace support;

Deadline soon() {
  return Deadline::in(Millis(5000));
}

Json of(Json paths) {
  return {{"paths", std::move(paths)}};
}

TEST(Trim, SaysWhatEachMountPointGaveBack) {
  ScriptedPeer peer(
      "", {syncs(), returns("guest-fstrim", of({{{"path", "/"}, {"trimmed", 4096}, {"minimum", 0}},
                                                {{"path", "/boot"}, {"error", "not supported"}},
                                                {{"path", "/srv"}, {"trimmed", 0}}}))});
  auto agent = Agent::connect(peer.path(), soon());
  ASSERT_TRUE(agent);
  const auto report = trim(*agent, soon(), {});
  ASSERT_TRUE(report) << report.error().text();
  EXPECT_EQ(peer.finish(), "");
  ASSERT_EQ(report->paths.size(), 3U);
  EXPECT_EQ(report->paths[0].path, "/");
  EXPECT_EQ(report->paths[0].bytes, 4096U);
  EXPECT_EQ(report->paths[0].error, "");
  EXPECT_EQ(report->paths[1].bytes, std::nullopt);
  EXPECT_EQ(report->paths[1].error, "not supported");
  EXPECT_EQ(report->paths[2].bytes, 0U);
  EXPECT_EQ(report->bytes, 4096U);
  EXPECT_EQ(report->left_out, 0U);
}

TEST(ParseTrim, RefusesWhatIsNoReport) {
  for (const Json& answer : {Json(), Json::object(), Json::array(), Json(3), of(3), of({3}),
                             of({{{"trimmed", 1}}}), of({{{"path", 7}}})}) {
    const auto report = parse_trim(answer);
    ASSERT_FALSE(report) << answer;
    EXPECT_EQ(report.error().code(), ErrorCode::kProtocol);
    EXPECT_EQ(report.error().text(), "the guest's answer to guest-fstrim makes no sense");
  }
  const auto empty = parse_trim(of(Json::array()));
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->paths.empty());
}

TEST(ParseTrim, TakesNoNumberThatCannotBe) {
  for (const Json& number :
       {Json(-1), Json("1"), Json(1e300), Json(1.5), Json(std::numeric_limits<std::int64_t>::max()),
        Json(std::numeric_limits<std::uint64_t>::max()), Json((std::int64_t{1} << 57U) + 1),
        Json()}) {
    const auto report = parse_trim(of({{{"path", "/"}, {"trimmed", number}}}));
    ASSERT_TRUE(report) << number;
    EXPECT_EQ(report->paths[0].bytes, std::nullopt) << number;
    EXPECT_EQ(report->paths[0].error, "the guest does not say how much");
    EXPECT_EQ(report->bytes, 0U);
  }
}

TEST(ParseTrim, NamesSoManyAndNoMoreAndAddsThemUpWithoutOverflow) {
  Json paths = Json::array();
  for (int i = 0; i < 1000; ++i)
    paths.push_back({{"path", "/"}, {"trimmed", std::int64_t{1} << 57U}});
  const auto report = parse_trim(of(std::move(paths)));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->paths.size(), kMostTrimmedPaths);
  EXPECT_EQ(report->left_out, 1000 - kMostTrimmedPaths);
  EXPECT_EQ(report->bytes, std::uint64_t{1} << 63U);
}

TEST(ParseTrim, MakesTheGuestsWordsShortAndPrintable) {
  const std::string hostile = "\x1b[2J\r\n" + std::string(100000, 'x');
  const auto report = parse_trim(of({{{"path", hostile}, {"error", hostile}},
                                     {{"path", "/"}, {"error", ""}},
                                     {{"path", "/x"}, {"error", 3}, {"trimmed", 5}}}));
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->paths[0].path.starts_with("\\x1b[2J\\x0d\\x0a"));
  EXPECT_LT(report->paths[0].path.size(), 250U);
  EXPECT_TRUE(report->paths[0].error.starts_with("\\x1b[2J"));
  EXPECT_LT(report->paths[0].error.size(), 250U);
  EXPECT_EQ(report->paths[1].error, "unknown");
  EXPECT_EQ(report->paths[2].error, "unknown");
  EXPECT_EQ(report->paths[2].bytes, std::nullopt);
}

}  // namespace
}  // namespace holdfast::host::qga
