// SPDX-License-Identifier: MIT
#include "base/unix_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>

#include "base/file.h"
#include "support/signal_rain.h"
#include "support/temporary_directory.h"

namespace holdfast::base {
namespace {

using namespace std::chrono_literals;

class UnixSocket : public testing::Test {
 protected:
  void SetUp() override {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    here_.reset(ends[0]);
    there_.reset(ends[1]);
  }
  void arrives(std::string_view text) { ASSERT_TRUE(send_all(there_.get(), text, soon())); }
  static Deadline soon() { return Deadline::in(10s); }

  support::TemporaryDirectory directory_;
  std::string path_ = directory_.file("socket");
  UniqueFd here_;
  UniqueFd there_;
  std::string buffer_;
};

TEST_F(UnixSocket, ConnectsToWhoListensAndHasTheMode) {
  const auto listener = listen_unix(path_, 0600);
  ASSERT_TRUE(listener) << listener.error().text();
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_TRUE(connect_unix(path_, soon()));
}

TEST_F(UnixSocket, TakesThePlaceOfAStaleOneButNotOfALiveOne) {
  {
    const auto gone = listen_unix(path_, 0600);
    ASSERT_TRUE(gone);
  }
  const auto listener = listen_unix(path_, 0600);
  ASSERT_TRUE(listener) << listener.error().text();
  const auto second = listen_unix(path_, 0600);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().text(),
            "unable to listen on '" + path_ + "': another process listens there");
}

TEST_F(UnixSocket, CannotBeMadeWhereThereIsNoDirectory) {
  EXPECT_EQ(listen_unix("/nonexistent/x.sock", 0600).error().code(), ErrorCode::kNotFound);
}

TEST_F(UnixSocket, DoesNotReplaceAFileThatIsNoSocket) {
  ASSERT_TRUE(write_file(path_, "precious", 0600, Durable::kNo));
  EXPECT_EQ(listen_unix(path_, 0600).error().text(),
            "unable to listen on '" + path_ + "': not a socket");
  EXPECT_EQ(*read_file(path_, 100), "precious");
}

TEST_F(UnixSocket, WaitsForAPlaceInTheBacklogWhateverSignalsCome) {
  const auto listener = listen_unix(path_, 0600);
  ASSERT_TRUE(listener);
  ASSERT_EQ(::listen(listener->get(), 0), 0);
  const auto first = connect_unix(path_, soon());
  ASSERT_TRUE(first);
  const support::SignalRain rain(5ms);
  const auto waited = connect_unix(path_, Deadline::in(100ms));
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().code(), ErrorCode::kTimedOut);
  EXPECT_GT(support::SignalRain::drops(), 1);
}

TEST_F(UnixSocket, SaysWhyItCannotConnect) {
  EXPECT_EQ(connect_unix(path_, soon()).error().text(),
            "unable to connect to '" + path_ + "': No such file or directory");
  {
    const auto gone = listen_unix(path_, 0600);
    ASSERT_TRUE(gone);
  }
  const auto refused = connect_unix(path_, soon());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnreachable);
  EXPECT_EQ(connect_unix(std::string(200, 'x'), soon()).error().code(), ErrorCode::kUsage);
}

TEST_F(UnixSocket, StopsWaitingForAPlaceInTheBacklogAtTheDeadline) {
  const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto bound = listen_unix(path_, 0600);
  ASSERT_TRUE(bound);
  ASSERT_EQ(::listen(bound->get(), 0), 0);
  const auto first = connect_unix(path_, soon());
  ASSERT_TRUE(first);
  const auto second = connect_unix(path_, Deadline::in(50ms));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::kTimedOut);
}

TEST_F(UnixSocket, TakesLinesOffOneByOne) {
  arrives("one\ntwo\nthr");
  EXPECT_EQ(*receive_line(here_.get(), buffer_, 100, soon()), "one");
  EXPECT_EQ(*receive_line(here_.get(), buffer_, 100, soon()), "two");
  arrives("ee\n");
  EXPECT_EQ(*receive_line(here_.get(), buffer_, 100, soon()), "three");
  EXPECT_EQ(buffer_, "");
}

TEST_F(UnixSocket, RefusesALineThatDoesNotEnd) {
  arrives(std::string(5000, 'x'));
  EXPECT_EQ(receive_line(here_.get(), buffer_, 1024, soon()).error().text(),
            "a line is longer than 1 KiB");
}

TEST_F(UnixSocket, RefusesALineThatEndsTooLate) {
  arrives(std::string(5000, 'x') + "\n");
  EXPECT_EQ(receive_line(here_.get(), buffer_, 1024, soon()).error().code(), ErrorCode::kTooLarge);
}

TEST_F(UnixSocket, StopsWaitingAtTheDeadlineAndKeepsWhatCame) {
  arrives("half");
  EXPECT_EQ(receive_line(here_.get(), buffer_, 100, Deadline::in(20ms)).error().code(),
            ErrorCode::kTimedOut);
  arrives(" line\n");
  EXPECT_EQ(*receive_line(here_.get(), buffer_, 100, soon()), "half line");
}

TEST_F(UnixSocket, ReportsTheEndOfTheStream) {
  there_.reset();
  EXPECT_EQ(receive_line(here_.get(), buffer_, 100, soon()).error().code(),
            ErrorCode::kUnreachable);
}

TEST_F(UnixSocket, CollectsTheRestOfTheStreamUpToALimit) {
  arrives("rest of it");
  ASSERT_EQ(::shutdown(there_.get(), SHUT_WR), 0);
  EXPECT_EQ(*receive_all(here_.get(), "the ", 100, soon()), "the rest of it");
  SetUp();
  arrives(std::string(200, 'x'));
  EXPECT_EQ(receive_all(here_.get(), "", 100, soon()).error().code(), ErrorCode::kTooLarge);
  SetUp();
  EXPECT_EQ(receive_all(here_.get(), "", 100, Deadline::in(20ms)).error().code(),
            ErrorCode::kTimedOut);
}

TEST_F(UnixSocket, StopsSendingAtTheDeadlineWhenNobodyReads) {
  const std::string flood(std::size_t{8} << 20U, 'x');
  EXPECT_EQ(send_all(here_.get(), flood, Deadline::in(20ms)).error().code(), ErrorCode::kTimedOut);
}

TEST_F(UnixSocket, SendsToAClosedPeerWithoutASignal) {
  there_.reset();
  EXPECT_EQ(send_all(here_.get(), "x", soon()).error().code(), ErrorCode::kUnreachable);
}

}  // namespace
}  // namespace holdfast::base
