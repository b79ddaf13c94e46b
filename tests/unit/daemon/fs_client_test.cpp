// SPDX-License-Identifier: MIT
//
// Client and server of the filesystem service together, on directories: nothing here is frozen.
#include "daemon/fs_client.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <optional>
#include <thread>

#include "fs/fs_server.h"
#include "support/temporary_directory.h"

namespace holdfast::daemon {
namespace {

using base::Deadline;
using namespace std::chrono_literals;

class FsClientTest : public ::testing::Test {
 protected:
  FsClientTest() { listen(); }
  ~FsClientTest() override { stop(); }

  [[nodiscard]] base::UniqueFd listener() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(static_cast<char*>(address.sun_path), socket_.data(), socket_.size());
    base::UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    (void)::unlink(socket_.c_str());
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd.get(), 4), 0);
    return fd;
  }
  // A socket that accepts and never answers.
  void listen_deaf() {
    stop();
    deaf_ = listener();
  }
  void listen() {
    stop_ = base::UniqueFd(::eventfd(0, EFD_CLOEXEC));
    server_.emplace(listener(), ::geteuid());
    thread_ = std::jthread([this] { EXPECT_TRUE(server_->run(stop_.get())); });
  }
  void stop() {
    if (!thread_.joinable()) return;
    const std::uint64_t one = 1;
    (void)!::write(stop_.get(), &one, sizeof one);
    thread_.join();
    server_.reset();
  }
  [[nodiscard]] static Deadline soon() { return Deadline::in(10s); }
  [[nodiscard]] static std::string said(const base::Result<void>& result) {
    return result ? "ok" : result.error().text();
  }

  support::TemporaryDirectory directory_;
  std::string socket_ = directory_.file("fs.sock");
  base::UniqueFd deaf_;
  base::UniqueFd stop_;
  std::optional<fs::FsServer> server_;
  std::jthread thread_;
  FsClient client_{socket_};
};

TEST_F(FsClientTest, GoesThroughAWholeWindow) {
  EXPECT_EQ(said(client_.arm({directory_.path(), "/"}, 1min, soon())), "ok");
  EXPECT_EQ(said(client_.sync(soon())), "ok");
  EXPECT_EQ(said(client_.extend(1min, soon())), "ok");
  EXPECT_EQ(said(client_.thaw(soon())), "ok");
  EXPECT_EQ(said(client_.disarm(soon())), "ok");
}

TEST_F(FsClientTest, NamesTheFilesystemThatCannotBeOpened) {
  EXPECT_EQ(said(client_.arm({"/", "/nonexistent"}, 1min, soon())),
            "unable to open the filesystem '/nonexistent': No such file or directory");
  const std::string endless = "/" + std::string(2000, 'x');
  EXPECT_TRUE(said(client_.arm({endless}, 1min, soon())).ends_with("its path is too long"));
}

TEST_F(FsClientTest, SaysThatNobodyListens) {
  stop();
  (void)::unlink(socket_.c_str());
  const auto armed = client_.arm({"/"}, 1min, soon());
  ASSERT_FALSE(armed);
  EXPECT_EQ(armed.error().one_line(),
            "unable to begin with the filesystems: unable to connect to '" + socket_ +
                "': No such file or directory (is holdfast-fs running?)");
}

TEST_F(FsClientTest, ConnectsAgainToAServiceThatHasRestarted) {
  EXPECT_EQ(said(client_.arm({"/"}, 1min, soon())), "ok");
  stop();
  listen();
  EXPECT_EQ(said(client_.arm({"/"}, 1min, soon())), "ok");
}

// Then its dead-man is gone: before anything is locked that is a reason to refuse.
TEST_F(FsClientTest, RefusesToGoOnWithAServiceThatHasRestartedSince) {
  ASSERT_EQ(said(client_.arm({"/"}, 1min, soon())), "ok");
  EXPECT_EQ(said(client_.confirm()), "ok");
  stop();
  listen();
  EXPECT_EQ(said(client_.confirm()), "'" + socket_ + "' closed the connection");
  EXPECT_EQ(said(client_.sync(soon())), "'" + socket_ + "' closed the connection");
}

// Afterwards it is told again what there is to thaw.
TEST_F(FsClientTest, TellsAServiceThatHasRestartedWhatToThaw) {
  ASSERT_EQ(said(client_.arm({directory_.path()}, 1min, soon())), "ok");
  stop();
  listen();
  EXPECT_EQ(said(client_.thaw(soon())), "ok");
  EXPECT_EQ(said(client_.confirm()), "ok");
  stop();
  listen();
  EXPECT_EQ(said(client_.extend(1min, soon())), "ok");
  EXPECT_EQ(said(client_.confirm()), "ok");
}

TEST_F(FsClientTest, WaitsNoLongerThanItsDeadlineAndTakesNoLateAnswer) {
  listen_deaf();
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(said(client_.disarm(Deadline::in(50ms))),
            "unable to disarm the thaw timer: no answer from '" + socket_ + "' in time");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  deaf_.reset();
  listen();
  EXPECT_EQ(said(client_.disarm(soon())), "ok");
}

}  // namespace
}  // namespace holdfast::daemon
