// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "qga/exec.h"

namespace holdfast::host::qga {
namespace {

using base::Json;

TEST(GuestExec, ReadsHowAProgramEnded) {
  const auto running = parse_exec_status({{"exited", false}});
  ASSERT_TRUE(running);
  EXPECT_FALSE(*running);
  const auto ended = parse_exec_status(
      {{"exited", true}, {"exitcode", 3}, {"out-data", "aGk="}, {"err-data", ""}});
  ASSERT_TRUE(ended && *ended);
  EXPECT_EQ((*ended)->status, 3);
  EXPECT_EQ((*ended)->output, "hi");
  EXPECT_FALSE((*ended)->truncated);
  const auto killed = parse_exec_status({{"exited", true}, {"signal", 9}, {"out-truncated", true}});
  ASSERT_TRUE(killed && *killed);
  EXPECT_EQ((*killed)->signal, 9);
  EXPECT_EQ((*killed)->status, std::nullopt);
  EXPECT_TRUE((*killed)->truncated);
}

TEST(GuestExec, RefusesWhatIsNoStatus) {
  for (const Json& answer :
       {Json(), Json(3), Json::object(), Json{{"exited", 1}},
        Json{{"exited", true}, {"exitcode", "0"}}, Json{{"exited", true}, {"exitcode", 1LL << 40}},
        Json{{"exited", true}, {"out-data", "!"}}, Json{{"exited", true}, {"out-data", 3}}}) {
    EXPECT_FALSE(parse_exec_status(answer)) << answer;
  }
}

}  // namespace
}  // namespace holdfast::host::qga
