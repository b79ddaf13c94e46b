// SPDX-License-Identifier: MIT
#include "base/unique_fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <utility>

namespace holdfast::base {
namespace {

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}
int open_null() {
  return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

TEST(UniqueFd, ClosesWhatItOwns) {
  int number = -1;
  {
    const UniqueFd fd(open_null());
    number = fd.get();
    EXPECT_TRUE(is_open(number));
  }
  EXPECT_FALSE(is_open(number));
}

TEST(UniqueFd, MovesOwnershipAndClosesTheOldOne) {
  UniqueFd first(open_null());
  UniqueFd second(open_null());
  const int kept = first.get();
  const int dropped = second.get();
  second = std::move(first);
  EXPECT_EQ(second.get(), kept);
  EXPECT_TRUE(is_open(kept));
  EXPECT_FALSE(is_open(dropped));
}

TEST(UniqueFd, SurvivesMovingOntoItself) {
  UniqueFd fd(open_null());
  UniqueFd& alias = fd;
  fd = std::move(alias);
  EXPECT_TRUE(is_open(fd.get()));
}

TEST(UniqueFd, GivesTheDescriptorAway) {
  UniqueFd fd(open_null());
  const UniqueFd taken(fd.release());
  EXPECT_FALSE(fd.valid());
  EXPECT_TRUE(is_open(taken.get()));
}

}  // namespace
}  // namespace holdfast::base
