// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "exec/execd_protocol.h"

namespace holdfast::exec {
namespace {

using base::Millis;
using base::Result;

TEST(ExecRequestLine, SaysVerbResourceWindowAndTime) {
  EXPECT_EQ(format_exec_request({ExecVerb::kFreeze, "queue", "w-1", Millis{1500}}),
            "holdfast-exec/1 freeze queue w-1 1500\n");
  EXPECT_EQ(format_exec_request({ExecVerb::kProbe, "queue", "", Millis{0}}),
            "holdfast-exec/1 probe queue - 1\n");
}

TEST(ExecRequestLine, IsReadBackForEveryVerb) {
  for (const ExecVerb verb : {ExecVerb::kProbe, ExecVerb::kPrepare, ExecVerb::kFreeze,
                              ExecVerb::kCheck, ExecVerb::kThaw}) {
    std::string line = format_exec_request({verb, "a.b_c-d", "w-1", Millis{7}});
    line.pop_back();
    const auto request = parse_exec_request(line);
    ASSERT_TRUE(request) << line;
    EXPECT_EQ(request->verb, verb);
    EXPECT_EQ(request->resource, "a.b_c-d");
    EXPECT_EQ(request->window, "w-1");
    EXPECT_EQ(request->time_left, Millis{7});
  }
}

TEST(ExecRequestLine, IsRefusedUnlessItIsOneToTheLetter) {
  for (const char* line :
       {"", "holdfast-exec/1", "holdfast-exec/2 freeze queue w-1 5",
        "holdfast-exec/1 run queue w-1 5", "holdfast-exec/1 freeze ../queue w-1 5",
        "holdfast-exec/1 freeze a/b w-1 5", "holdfast-exec/1 freeze .queue w-1 5",
        "holdfast-exec/1 freeze  w-1 5", "holdfast-exec/1 freeze queue w/1 5",
        "holdfast-exec/1 freeze queue w-1 0", "holdfast-exec/1 freeze queue w-1 -5",
        "holdfast-exec/1 freeze queue w-1 5x", "holdfast-exec/1 freeze queue w-1 3600001",
        "holdfast-exec/1 freeze queue w-1 5 ",
        "holdfast-exec/1 freeze queue w-1 99999999999999999999"}) {
    const auto request = parse_exec_request(line);
    ASSERT_FALSE(request) << line;
    EXPECT_EQ(request.error().code(), base::ErrorCode::kProtocol);
  }
}

TEST(ExecReplyLine, CarriesSuccessWarningAndError) {
  const auto round_trip = [](const Result<std::string>& result) {
    std::string line = format_exec_reply(result);
    EXPECT_EQ(line.back(), '\n');
    line.pop_back();
    return parse_exec_reply(line);
  };
  EXPECT_EQ(*round_trip(std::string()), "");
  EXPECT_EQ(*round_trip(std::string("a warning")), "a warning");
  const auto error = round_trip(base::Error(base::ErrorCode::kTimedOut, "too\nslow"));
  ASSERT_FALSE(error);
  EXPECT_EQ(error.error().code(), base::ErrorCode::kTimedOut);
  EXPECT_EQ(error.error().text(), "too\\x0aslow");
}

TEST(ExecReplyLine, IsRefusedIfItIsNotOne) {
  for (const char* line : {"", "ok", "holdfast-exec/1", "holdfast-exec/1 ok", "holdfast-exec/2 ok ",
                           "holdfast-exec/1 fine text"}) {
    const auto reply = parse_exec_reply(line);
    ASSERT_FALSE(reply) << line;
    EXPECT_EQ(reply.error().code(), base::ErrorCode::kProtocol);
  }
}

}  // namespace
}  // namespace holdfast::exec
