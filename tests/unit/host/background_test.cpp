// SPDX-License-Identifier: MIT
#include "run/background.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace holdfast::host::run {
namespace {

int priority() {
  return ::getpriority(PRIO_PROCESS, 0);
}

TEST(Background, GoesAfterOthersWithWhatItStarts) {
  const int before = priority();
  if (before >= 10) GTEST_SKIP() << "already runs at priority " << before;
  const Background background;
  EXPECT_EQ(priority(), before + 10);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(priority());
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), before + 10);
}

TEST(Background, NeverLeavesTheRangeOfPriorities) {
  const Background one;
  const Background two;
  const Background three;
  EXPECT_LE(priority(), 19);
}

}  // namespace
}  // namespace holdfast::host::run
