// SPDX-License-Identifier: MIT
#include "daemon/control_server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/unix_socket.h"
#include "support/temporary_directory.h"

namespace holdfast::daemon {
namespace {

using base::Deadline;
using base::Verb;
using namespace std::chrono_literals;

class ControlServerTest : public ::testing::Test {
 protected:
  ControlServerTest() {
    auto listener = base::listen_unix(path_, 0600);
    EXPECT_TRUE(listener);
    ControlServer::Callbacks callbacks;
    callbacks.status = [] { return std::string("{}\n"); };
    callbacks.submit = [this](Verb verb, Sequencer::Answer answer) {
      verbs_.push_back(verb);
      answers_.push_back(std::move(answer));
      stops_.emplace_back();
      return stops_.back();
    };
    callbacks.unheard_freeze = [this] { ++unheard_; };
    callbacks.replied = [this] { ++replied_; };
    server_ = std::make_unique<ControlServer>(std::move(*listener), loop_, std::move(callbacks));
  }

  [[nodiscard]] base::UniqueFd connect() const {
    auto fd = base::connect_unix(path_, Deadline::in(5s));
    EXPECT_TRUE(fd);
    return std::move(*fd);
  }
  [[nodiscard]] base::UniqueFd ask(std::string_view request) {
    base::UniqueFd fd = connect();
    EXPECT_TRUE(base::send_all(fd.get(), request, Deadline::in(5s)));
    return fd;
  }
  // Lets the loop do what there is to do until this holds, at most ten seconds.
  void turn(const std::function<bool()>& done) {
    const Deadline limit = Deadline::in(10s);
    while (!done() && !limit.passed()) {
      EventLoop::Timer timer = loop_.at(std::chrono::steady_clock::now() + 1ms, [] {});
      loop_.post([] {});
      loop_.turn();
      loop_.cancel(timer);
    }
    EXPECT_TRUE(done());
  }
  [[nodiscard]] std::string answer_to(const base::UniqueFd& fd) {
    std::string text;
    turn([&] {
      std::string piece(4096, '\0');
      const ssize_t count = ::recv(fd.get(), piece.data(), piece.size(), MSG_DONTWAIT);
      if (count > 0) text.append(piece, 0, static_cast<std::size_t>(count));
      return count == 0;
    });
    return text;
  }

  support::TemporaryDirectory directory_;
  std::string path_ = directory_.file("control.sock");
  EventLoop loop_;
  std::vector<Verb> verbs_;
  std::vector<Sequencer::Answer> answers_;
  std::vector<std::stop_source> stops_;
  int unheard_ = 0;
  int replied_ = 0;
  std::unique_ptr<ControlServer> server_;
};

TEST_F(ControlServerTest, AnswersStatusByItself) {
  const auto fd = ask("holdfast/1 status\n");
  EXPECT_EQ(answer_to(fd), "holdfast/1 0 ok \n{}\n");
  EXPECT_TRUE(verbs_.empty());
}

TEST_F(ControlServerTest, HandsAVerbOnAndItsAnswerBack) {
  const auto fd = ask("holdfast/1 freeze\n");
  turn([&] { return !answers_.empty(); });
  answers_[0]({21, "hold-failed", "no"}, "doc");
  EXPECT_EQ(answer_to(fd), "holdfast/1 21 hold-failed no\ndoc");
  EXPECT_EQ(verbs_, (std::vector<Verb>{Verb::kFreeze}));
  EXPECT_EQ(unheard_, 0);
  EXPECT_EQ(replied_, 1);
}

TEST_F(ControlServerTest, TakesARequestInPieces) {
  const auto fd = ask("holdfast/1 st");
  turn([&] { return true; });
  ASSERT_TRUE(base::send_all(fd.get(), "atus\n", Deadline::in(5s)));
  EXPECT_EQ(answer_to(fd), "holdfast/1 0 ok \n{}\n");
}

TEST_F(ControlServerTest, RefusesWhatIsNoRequest) {
  EXPECT_EQ(answer_to(ask("nonsense\n")),
            "holdfast/1 1 protocol unable to read the request 'nonsense'\n");
  EXPECT_EQ(answer_to(ask(std::string(300, 'x'))),
            "holdfast/1 1 too-large the request is too long\n");
}

TEST_F(ControlServerTest, GivesAFreezeUpWhenItsClientGoesAway) {
  base::UniqueFd fd = ask("holdfast/1 freeze\n");
  turn([&] { return !answers_.empty(); });
  fd.reset();
  turn([&] { return stops_[0].stop_requested(); });
  // It had succeeded all the same.
  answers_[0]({}, "");
  EXPECT_EQ(unheard_, 1);
}

TEST_F(ControlServerTest, CarriesAThawOutAlsoWhenItsClientGoesAway) {
  base::UniqueFd fd = ask("holdfast/1 thaw\n");
  turn([&] { return !answers_.empty(); });
  fd.reset();
  turn([&] { return replied_ == 1; });
  EXPECT_FALSE(stops_[0].stop_requested());
  answers_[0]({}, "");
  EXPECT_EQ(unheard_, 0);
}

TEST_F(ControlServerTest, MakesRoomByDroppingTheOldestThatSaysNothing) {
  std::vector<base::UniqueFd> silent;
  for (int i = 0; i < 32; ++i)
    silent.push_back(connect());
  const auto fd = ask("holdfast/1 status\n");
  EXPECT_EQ(answer_to(fd), "holdfast/1 0 ok \n{}\n");
  EXPECT_EQ(answer_to(silent[0]), "");
}

}  // namespace
}  // namespace holdfast::daemon
