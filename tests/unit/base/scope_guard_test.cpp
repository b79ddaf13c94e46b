// SPDX-License-Identifier: MIT
#include "base/scope_guard.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace holdfast::base {
namespace {

TEST(ScopeGuard, RunsAtTheEndOfTheScope) {
  int runs = 0;
  {
    const ScopeGuard guard([&] { ++runs; });
    EXPECT_EQ(runs, 0);
  }
  EXPECT_EQ(runs, 1);
}

TEST(ScopeGuard, RunsWhenAnExceptionLeavesTheScope) {
  int runs = 0;
  try {
    const ScopeGuard guard([&] { ++runs; });
    throw std::runtime_error("out");
  } catch (const std::runtime_error&) {
    EXPECT_EQ(runs, 1);
  }
}

TEST(ScopeGuard, DoesNotRunOnceDismissed) {
  int runs = 0;
  {
    ScopeGuard guard([&] { ++runs; });
    guard.dismiss();
  }
  EXPECT_EQ(runs, 0);
}

}  // namespace
}  // namespace holdfast::base
