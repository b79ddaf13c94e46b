// SPDX-License-Identifier: MIT
#include "daemon/event_loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <thread>

namespace holdfast::daemon {
namespace {

using namespace std::chrono_literals;

base::MonoTime soon(base::Millis span = 0ms) {
  return std::chrono::steady_clock::now() + span;
}

TEST(EventLoopTest, RunsWorkOfOtherThreadsInTheirOrder) {
  EventLoop loop;
  std::string order;
  std::jthread other([&] {
    loop.post([&] { order += "a"; });
    loop.post([&] { order += "b"; });
    loop.post([&] { loop.quit(7); });
  });
  EXPECT_EQ(loop.run(), 7);
  EXPECT_EQ(order, "ab");
}

TEST(EventLoopTest, RunsTimersInTheOrderOfTheirTimesAndNotTheCancelled) {
  EventLoop loop;
  std::string order;
  loop.at(soon(20ms), [&] { loop.quit(0); });
  loop.at(soon(10ms), [&] { order += "b"; });
  loop.at(soon(), [&] { order += "a"; });
  const auto cancelled = loop.at(soon(5ms), [&] { order += "x"; });
  loop.cancel(cancelled);
  EXPECT_EQ(loop.run(), 0);
  EXPECT_EQ(order, "ab");
}

TEST(EventLoopTest, LetsAHandlerForgetItsOwnDescriptor) {
  EventLoop loop;
  const base::UniqueFd fd(::eventfd(1, EFD_CLOEXEC));
  int calls = 0;
  loop.watch(fd.get(), EPOLLIN, [&](std::uint32_t) {
    ++calls;
    loop.forget(fd.get());
    loop.post([&] { loop.quit(0); });
  });
  EXPECT_EQ(loop.run(), 0);
  EXPECT_EQ(calls, 1);
}

TEST(EventLoopTest, DoesNotCallAHandlerThatWasForgottenInTheSameRound) {
  EventLoop loop;
  const base::UniqueFd a(::eventfd(1, EFD_CLOEXEC));
  const base::UniqueFd b(::eventfd(1, EFD_CLOEXEC));
  int calls = 0;
  for (const base::UniqueFd* fd : {&a, &b}) {
    loop.watch(fd->get(), EPOLLIN, [&](std::uint32_t) {
      ++calls;
      loop.forget(a.get());
      loop.forget(b.get());
      loop.post([&] { loop.quit(0); });
    });
  }
  EXPECT_EQ(loop.run(), 0);
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace holdfast::daemon
