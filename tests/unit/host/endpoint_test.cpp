// SPDX-License-Identifier: MIT
#include "wire/endpoint.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/unix_socket.h"
#include "wire/line_channel.h"

namespace holdfast::host::wire {
namespace {

using base::Deadline;
using base::Millis;

Deadline soon() {
  return Deadline::in(Millis(20000));
}

TEST(Endpoint, TalksWithAProgramOnItsStandardInputAndOutput) {
  auto fd = open_endpoint({{"/bin/cat"}, "the cat"}, soon());
  ASSERT_TRUE(fd) << fd.error().text();
  LineChannel channel(std::move(*fd), 1000);
  ASSERT_TRUE(channel.send("one\ntwo\n", soon()));
  EXPECT_EQ(channel.receive(soon(), {}).value(), "one");
  EXPECT_EQ(channel.receive(soon(), {}).value(), "two");
}

TEST(Endpoint, LeavesNoChildBehind) {
  { const auto fd = open_endpoint({{"/bin/cat"}, "the cat"}, soon()); }
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST(Endpoint, EndsTheProgramsInputWhenItIsClosed) {
  // It says so through a pipe that nobody else holds.
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const std::string script = "cat >/dev/null; echo ended >/proc/self/fd/" + std::to_string(ends[1]);
  { const auto fd = open_endpoint({{"/bin/sh", "-c", script}, "the shell"}, soon()); }
  char text[6] = {};
  EXPECT_EQ(::read(ends[0], text, 6), 6);
  EXPECT_EQ(std::string(text, 5), "ended");
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(Endpoint, SaysWhyAProgramCannotBeRun) {
  const auto fd = open_endpoint({{"/nowhere/program"}, "nobody"}, soon());
  ASSERT_FALSE(fd);
  EXPECT_EQ(fd.error().text(), "unable to run '/nowhere/program': No such file or directory");
}

TEST(Endpoint, IsDescribedByItsPathOrItsName) {
  EXPECT_EQ(Endpoint("/run/a").described_as("guest agent"), "guest agent '/run/a'");
  EXPECT_EQ(Endpoint({"/bin/cat"}, "the cat").described_as("guest agent"), "the cat");
  EXPECT_TRUE(Endpoint().empty());
  EXPECT_FALSE(Endpoint("/run/a").empty());
}

}  // namespace
}  // namespace holdfast::host::wire
