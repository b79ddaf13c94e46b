// SPDX-License-Identifier: MIT
#include "base/control_protocol.h"

#include <gtest/gtest.h>

namespace holdfast::base {
namespace {

TEST(ControlRequest, ComesBackAsItWasSent) {
  for (const Verb verb :
       {Verb::kFreeze, Verb::kThaw, Verb::kStatus, Verb::kCheck, Verb::kReport, Verb::kDrill}) {
    std::string line = format_request(verb);
    ASSERT_EQ(line.back(), '\n');
    line.pop_back();
    EXPECT_EQ(*parse_request(line), verb);
  }
}

TEST(ControlRequest, OfAnotherKindIsRefused) {
  for (const char* line : {"", "freeze", "holdfast/2 freeze", "holdfast/1 melt",
                           "holdfast/1 freeze ", "holdfast/1", "GET / HTTP/1.1"}) {
    EXPECT_EQ(parse_request(line).error().code(), ErrorCode::kProtocol) << line;
  }
}

TEST(ControlReply, ComesBackAsItWasSent) {
  const Error error = Error(ErrorCode::kHoldLost, "the hold on 'mysql:main' was lost")
                          .with_hint("see holdfastctl report");
  std::string line = format_reply(reply_for(error));
  EXPECT_EQ(line,
            "holdfast/1 30 hold-lost the hold on 'mysql:main' was lost (see holdfastctl report)\n");
  line.pop_back();
  const auto reply = parse_reply(line);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 30);
  EXPECT_EQ(reply->name, "hold-lost");
  EXPECT_EQ(reply->text, "the hold on 'mysql:main' was lost (see holdfastctl report)");
}

TEST(ControlReply, OfSuccessHasNoText) {
  EXPECT_EQ(format_reply({}), "holdfast/1 0 ok \n");
  EXPECT_EQ(parse_reply("holdfast/1 0 ok ")->status, 0);
}

TEST(ControlReply, NeverHasASecondLineNorMoreThanItsLimit) {
  const std::string line = format_reply({1, "io", "a\nb" + std::string(10000, 'x')});
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_LE(line.size(), kReplyLineLimit);
}

TEST(ControlReply, ThatMakesNoSenseIsRefused) {
  for (const char* line :
       {"", "holdfast/1", "holdfast/1 ", "holdfast/1 x ok ", "holdfast/1 0", "holdfast/1 0 ok",
        "holdfast/1 256 io x", "holdfast/1 -1 io x", "holdfast/1 0 io x", "holdfast/1 1 ok x",
        "holdfast/1 1  x", "holdfast/2 0 ok "}) {
    EXPECT_FALSE(parse_reply(line)) << line;
  }
}

TEST(ControlReply, HasANameThatLeavesRoomForItsText) {
  EXPECT_TRUE(parse_reply("holdfast/1 1 " + std::string(32, 'x') + " text"));
  EXPECT_FALSE(parse_reply("holdfast/1 1 " + std::string(33, 'x') + " text"));
}

TEST(ControlReply, CannotBringAnEscapeSequenceInWithItsName) {
  EXPECT_EQ(parse_reply("holdfast/1 1 \x1b[2J x").error().message(),
            "unable to read the reply 'holdfast/1 1 \\x1b[2J x'");
}

}  // namespace
}  // namespace holdfast::base
