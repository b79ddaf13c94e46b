// SPDX-License-Identifier: MIT
#include "base/secret.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <type_traits>

namespace holdfast::base {
namespace {

template <typename T>
concept Streamable = requires(std::ostream& out, const T& value) {
  out << value;
};

static_assert(!Streamable<Secret>);
static_assert(!std::is_copy_constructible_v<Secret>);
static_assert(!std::is_convertible_v<Secret, std::string>);

TEST(Secret, IsSeenOnlyThroughReveal) {
  const Secret secret(std::string("hunter2"));
  EXPECT_STREQ(secret.reveal(), "hunter2");
  EXPECT_FALSE(secret.empty());
  EXPECT_TRUE(Secret().empty());
}

TEST(Secret, LeavesNothingInTheStringItWasMadeFrom) {
  // Short enough for the string's own buffer, which a move copies from and does not clear.
  std::string text = "hunter2";
  const char* const bytes = text.data();
  const Secret secret(std::move(text));
  EXPECT_STRNE(bytes, "hunter2");
}

TEST(Secret, LeavesNothingBehindWhenItIsMoved) {
  Secret first(std::string("hunter2"));
  const char* const bytes = first.reveal();
  const Secret second(std::move(first));
  EXPECT_STREQ(second.reveal(), "hunter2");
  EXPECT_STRNE(bytes, "hunter2");
}

}  // namespace
}  // namespace holdfast::base
