// SPDX-License-Identifier: MIT
#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace holdfast::base {
namespace {

Result<int> odd(int number) {
  if (number % 2 == 0) return Error(ErrorCode::kUsage, "even");
  return number;
}

TEST(Result, HoldsEitherAValueOrAnError) {
  EXPECT_EQ(*odd(3), 3);
  EXPECT_FALSE(odd(4));
  EXPECT_EQ(odd(4).error().text(), "even");
  EXPECT_EQ(odd(4).value_or(7), 7);
  EXPECT_EQ(odd(5).value_or(7), 5);
}

TEST(Result, ThrowsWhenTheWrongSideIsRead) {
  EXPECT_THROW((void)odd(4).value(), std::logic_error);
  EXPECT_THROW((void)odd(3).error(), std::logic_error);
  EXPECT_THROW((void)Result<void>().error(), std::logic_error);
}

TEST(Result, GivesAwayWhatCanOnlyBeMoved) {
  Result<std::unique_ptr<std::string>> result(std::make_unique<std::string>("moved"));
  const std::unique_ptr<std::string> owned = *std::move(result);
  EXPECT_EQ(*owned, "moved");
}

TEST(ResultOfVoid, IsSuccessUnlessAnErrorIsGiven) {
  EXPECT_TRUE(Result<void>());
  const Result<void> failed = Error(ErrorCode::kIo, "broken");
  EXPECT_FALSE(failed);
  EXPECT_EQ(failed.error().code(), ErrorCode::kIo);
}

}  // namespace
}  // namespace holdfast::base
