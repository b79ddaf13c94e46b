// SPDX-License-Identifier: MIT
#include "base/error.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>

namespace holdfast::base {
namespace {

TEST(ErrorTable, NumbersAndNamesAreUsedOnce) {
  std::set<int> numbers;
  std::set<std::string> names;
  int rows = 0;
#define HOLDFAST_COLLECT(constant, number, name, guest, host) \
  numbers.insert(number);                                     \
  names.insert(name);                                         \
  ++rows;
  HOLDFAST_ERROR_TABLE(HOLDFAST_COLLECT)
#undef HOLDFAST_COLLECT
  EXPECT_EQ(static_cast<int>(numbers.size()), rows);
  EXPECT_EQ(static_cast<int>(names.size()), rows);
}

TEST(ErrorTable, HasTheExitStatusesOfTheShim) {
  EXPECT_EQ(guest_exit_status(ErrorCode::kUsage), 64);
  EXPECT_EQ(guest_exit_status(ErrorCode::kDaemonUnreachable), 20);
  EXPECT_EQ(guest_exit_status(ErrorCode::kHoldFailed), 21);
  EXPECT_EQ(guest_exit_status(ErrorCode::kFreezeTimeout), 22);
  EXPECT_EQ(guest_exit_status(ErrorCode::kMisconfigured), 23);
  EXPECT_EQ(guest_exit_status(ErrorCode::kHoldLost), 30);
  EXPECT_EQ(guest_exit_status(ErrorCode::kWindowExpired), 31);
  EXPECT_EQ(guest_exit_status(ErrorCode::kReleaseFailed), 32);
  EXPECT_EQ(guest_exit_status(ErrorCode::kDaemonRestarted), 33);
}

TEST(ErrorTable, HasTheExitStatusesOfTheHostDriver) {
  EXPECT_EQ(host_exit_status(ErrorCode::kIo), 1);
  EXPECT_EQ(host_exit_status(ErrorCode::kUsage), 2);
  EXPECT_EQ(host_exit_status(ErrorCode::kConfiguration), 2);
  EXPECT_EQ(host_exit_status(ErrorCode::kBelowPreferred), 3);
  EXPECT_EQ(host_exit_status(ErrorCode::kLocked), 4);
}

TEST(ErrorTable, FindsEveryCodeByItsName) {
#define HOLDFAST_FIND(constant, number, name, guest, host) \
  EXPECT_EQ(error_code_named(name), ErrorCode::constant);
  HOLDFAST_ERROR_TABLE(HOLDFAST_FIND)
#undef HOLDFAST_FIND
  EXPECT_FALSE(error_code_named("no-such-code"));
}

TEST(ErrorText, JoinsTheChainOfCausesWithColons) {
  const Error error = Error(ErrorCode::kHoldFailed, "unable to lock tables on 'mysql:main'")
                          .caused_by(Error(ErrorCode::kTimedOut, "timed out after 4000 ms"));
  EXPECT_EQ(error.text(), "unable to lock tables on 'mysql:main': timed out after 4000 ms");
  EXPECT_EQ(error.code(), ErrorCode::kHoldFailed);
  EXPECT_EQ(error.cause()->code(), ErrorCode::kTimedOut);
}

TEST(ErrorText, ShowsTheNearestHintOnce) {
  const Error error =
      Error(ErrorCode::kHoldFailed, "outer")
          .caused_by(Error(ErrorCode::kTimedOut, "inner").with_hint("raise freeze-timeout"));
  EXPECT_EQ(error.one_line(), "outer: inner (raise freeze-timeout)");
  EXPECT_EQ(Error(ErrorCode::kIo, "plain").one_line(), "plain");
}

TEST(ErrorText, WrapsACauseUnderItsOwnCode) {
  const Error error = wrap(Error(ErrorCode::kTimedOut, "timed out").with_hint("wait"), "unable");
  EXPECT_EQ(error.one_line(), "unable: timed out (wait)");
  EXPECT_EQ(error.code(), ErrorCode::kTimedOut);
}

TEST(ErrorText, KeepsCleanUpErrorsBesideTheFirst) {
  const Error error = Error(ErrorCode::kHoldFailed, "first").also(Error(ErrorCode::kIo, "second"));
  EXPECT_EQ(error.text(), "first [also: second]");
  EXPECT_EQ(error.code(), ErrorCode::kHoldFailed);
}

TEST(ErrnoError, MapsTheErrnoToACodeAndSaysIt) {
  const Error error = errno_error(ENOENT, "unable to open '/nowhere'");
  EXPECT_EQ(error.text(), "unable to open '/nowhere': No such file or directory");
  EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  EXPECT_EQ(errno_error(EACCES, "x").code(), ErrorCode::kPermission);
  EXPECT_EQ(errno_error(ENOSPC, "x").code(), ErrorCode::kNoSpace);
  EXPECT_EQ(errno_error(EEXIST, "x").code(), ErrorCode::kExists);
  EXPECT_EQ(errno_error(ECONNREFUSED, "x").code(), ErrorCode::kUnreachable);
  EXPECT_EQ(errno_error(ETIMEDOUT, "x").code(), ErrorCode::kTimedOut);
  EXPECT_EQ(errno_error(EBUSY, "x").code(), ErrorCode::kBusy);
  EXPECT_EQ(errno_error(EOPNOTSUPP, "x").code(), ErrorCode::kUnsupported);
  EXPECT_EQ(errno_error(EIO, "x").code(), ErrorCode::kIo);
  EXPECT_EQ(errno_error(99999, "x").text(), "x: error 99999");
}

}  // namespace
}  // namespace holdfast::base
