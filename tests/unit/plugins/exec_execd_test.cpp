// SPDX-License-Identifier: MIT
//
// The helper and its client, over a real socket, with real scripts.
#include <sys/eventfd.h>

#include <condition_variable>
#include <memory>
#include <optional>
#include <thread>

#include "base/unix_socket.h"
#include "exec/execd_server.h"
#include "exec/remote_executor.h"
#include "exec_fixture.h"

namespace holdfast::exec {
namespace {

using base::ErrorCode;
using base::Millis;
using std::chrono::seconds;

class ExecExecd : public ExecFixture {
 protected:
  void SetUp() override {
    ExecFixture::SetUp();
    std::filesystem::create_directory(path("resources.d"));
    start();
  }
  void TearDown() override {
    stop();
    ExecFixture::TearDown();
  }

  void start() {
    auto listener = base::listen_unix(path("exec.sock"), 0600);
    ASSERT_TRUE(listener) << listener.error().text();
    stop_.reset(::eventfd(0, EFD_CLOEXEC));
    context_ =
        std::make_unique<ExecdContext>(ExecdContext{path("resources.d"), processes_, claims_});
    server_ = std::make_unique<ExecdServer>(std::move(*listener), *context_,
                                            std::vector<uid_t>{::geteuid()});
    thread_ = std::thread([this] {
      auto served = server_->serve(stop_.get());
      EXPECT_TRUE(served) << served.error().text();
    });
  }
  // Ends it as SIGTERM does; what was frozen has been thawed when it returns.
  void stop() {
    if (!thread_.joinable()) return;
    const std::uint64_t one = 1;
    ASSERT_EQ(::write(stop_.get(), &one, sizeof one), 8);
    thread_.join();
    server_.reset();
  }

  void resource(const std::string& name, const std::string& text) const {
    write("resources.d/" + name + ".conf", "plugin = exec\n" + text, 0644);
  }

  [[nodiscard]] std::unique_ptr<RemoteExecutor> client(const std::string& name = "queue") const {
    return std::make_unique<RemoteExecutor>(path("exec.sock"), name);
  }

  // Until the journal has so many lines, bounded.
  [[nodiscard]] Lines journal_of(std::size_t lines) const {
    const base::Deadline deadline = base::Deadline::in(seconds(10));
    while (journal().size() < lines && !deadline.passed())
      std::this_thread::yield();
    return journal();
  }

  Claims claims_;
  base::UniqueFd stop_;
  std::unique_ptr<ExecdContext> context_;
  std::unique_ptr<ExecdServer> server_;
  std::thread thread_;
};

TEST_F(ExecExecd, RunsAResourceFromProbeToThaw) {
  resource("queue", "as-root = yes\nprogram = " + script("hold") + "\n");
  auto executor = client();
  const auto probed = executor->probe(call(seconds(10), ""));
  ASSERT_TRUE(probed) << probed.error().text();
  EXPECT_GE(executor->watch_fd(), 0);
  EXPECT_TRUE(executor->prepare(call()));
  EXPECT_TRUE(executor->freeze(call()));
  EXPECT_TRUE(executor->check(call()));
  EXPECT_TRUE(executor->thaw(call()));
  EXPECT_TRUE(executor->thaw(call()));
  EXPECT_EQ(journal(),
            (Lines{"hold check", "hold prepare", "hold freeze", "hold check", "hold thaw"}));
}

TEST_F(ExecExecd, TellsWhenThereIsNothingToRun) {
  resource("queue", "as-root = yes\ndirectory = " + path("programs") + "\n");
  auto executor = client();
  EXPECT_TRUE(executor->has_programs());
  ASSERT_TRUE(executor->prepare(call()));
  EXPECT_FALSE(executor->has_programs());
  ASSERT_TRUE(executor->thaw(call()));
  script("programs/1");
  ASSERT_TRUE(executor->prepare(call()));
  EXPECT_TRUE(executor->has_programs());
  EXPECT_TRUE(executor->thaw(call()));
}

TEST_F(ExecExecd, RunsNothingThatDoesNotSayAsRoot) {
  resource("queue", "program = " + script("hold") + "\n");
  const auto probed = client()->probe(call());
  ASSERT_FALSE(probed);
  EXPECT_EQ(probed.error().code(), ErrorCode::kRefused);
  EXPECT_EQ(probed.error().text(),
            "unable to run 'queue' as root: " + path("resources.d/queue.conf") +
                " does not say 'as-root = yes'");
  EXPECT_EQ(journal(), Lines{});
}

TEST_F(ExecExecd, RefusesAResourceFileThatOthersCanWrite) {
  resource("queue", "as-root = yes\nprogram = " + script("hold") + "\n");
  ASSERT_EQ(::chmod(path("resources.d/queue.conf").c_str(), 0664), 0);
  const auto frozen = client()->freeze(call());
  ASSERT_FALSE(frozen);
  EXPECT_EQ(frozen.error().code(), ErrorCode::kPermission);
  EXPECT_EQ(journal(), Lines{});
}

TEST_F(ExecExecd, RefusesAResourceThatDoesNotExist) {
  const auto probed = client("other")->probe(call());
  ASSERT_FALSE(probed);
  EXPECT_EQ(probed.error().code(), ErrorCode::kNotFound);
}

TEST_F(ExecExecd, ThawsWhenTheClientGoesAway) {
  resource("queue", "as-root = yes\nprogram = " + script("hold") + "\n");
  auto executor = client();
  ASSERT_TRUE(executor->freeze(call()));
  executor.reset();
  EXPECT_EQ(journal_of(2), (Lines{"hold freeze", "hold thaw"}));
}

TEST_F(ExecExecd, TellsThawAlsoToThoseForWhomTheClientHasNoTime) {
  // Slower than the client, which is gone when the program says that it has begun.
  resource("queue", "as-root = yes\nprogram = " +
                        script("hold", "[ $1 != thaw ] || sleep 0.3; : >" + path("ended.$1")) +
                        "\n");
  auto executor = client();
  ASSERT_TRUE(executor->freeze(call()));
  EXPECT_FALSE(executor->thaw(call(Millis{1})));
  executor.reset();
  stop();
  EXPECT_EQ(journal(), (Lines{"hold freeze", "hold thaw"}));
  EXPECT_TRUE(std::filesystem::exists(path("ended.thaw")));
}

TEST_F(ExecExecd, KillsTheFreezeOfAClientThatGoesAwayAndThawsIt) {
  resource("queue",
           "as-root = yes\nprogram = " + script("hold", "[ $1 = thaw ] || sleep 60") + "\n");
  auto executor = client();
  std::thread freezer([&] { EXPECT_FALSE(executor->freeze(call())); });
  EXPECT_EQ(journal_of(1), (Lines{"hold freeze"}));
  executor->interrupt();
  freezer.join();
  EXPECT_EQ(journal_of(2), (Lines{"hold freeze", "hold thaw"}));
}

TEST_F(ExecExecd, ReportsAProgramThatIsTooSlowBeforeTheClientGivesUp) {
  resource("queue",
           "as-root = yes\nprogram = " + script("hold", "[ $1 = thaw ] || sleep 60") + "\n");
  auto executor = client();
  const auto frozen = executor->freeze(call(Millis{500}));
  ASSERT_FALSE(frozen);
  EXPECT_EQ(frozen.error().code(), ErrorCode::kTimedOut);
  executor->rollback(base::Deadline::in(seconds(5)));
  EXPECT_EQ(journal_of(2), (Lines{"hold freeze", "hold thaw"}));
}

TEST_F(ExecExecd, TellsNothingMoreToProgramsWhoseFreezeWasRefusedAndUndone) {
  resource("queue", "as-root = yes\ndirectory = " + path("programs") + "\n");
  script("programs/1");
  script("programs/2", "exit 1");
  script("programs/3");
  auto executor = client();
  ASSERT_FALSE(executor->freeze(call()));
  executor->rollback(base::Deadline::in(seconds(5)));
  EXPECT_EQ(journal(), (Lines{"1 freeze", "2 freeze", "1 thaw"}));
}

TEST_F(ExecExecd, MakesTheNextWindowWaitUntilTheLastOneIsThawed) {
  resource("queue",
           "as-root = yes\nprogram = " + script("hold", "[ $1 = freeze ] || sleep 0.3") + "\n");
  auto first = client();
  ASSERT_TRUE(first->freeze(call()));
  auto second = client();
  const auto refused = second->freeze(call(Millis{200}));
  ASSERT_FALSE(refused);
  // On a busy machine the answer, too, may come after its time.
  const ErrorCode code = refused.error().code();
  EXPECT_TRUE(code == ErrorCode::kBusy || code == ErrorCode::kTimedOut) << base::name_of(code);
  first.reset();
  auto third = client();
  const auto frozen = third->freeze(call());
  EXPECT_TRUE(frozen) << frozen.error().text();
  EXPECT_EQ(journal(), (Lines{"hold freeze", "hold thaw", "hold freeze"}));
}

TEST_F(ExecExecd, ThawsEverythingBeforeItEndsAndTheHoldIsLost) {
  resource("queue", "as-root = yes\nprogram = " + script("hold") + "\n");
  auto executor = client();
  ASSERT_TRUE(executor->freeze(call()));
  stop();
  EXPECT_EQ(journal(), (Lines{"hold freeze", "hold thaw"}));
  const auto checked = executor->check(call());
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code(), ErrorCode::kHoldLost);
  // A new one knows of nothing; the thaw comes all the same.
  start();
  EXPECT_TRUE(executor->thaw(call()));
  EXPECT_EQ(journal(), (Lines{"hold freeze", "hold thaw", "hold thaw"}));
}

TEST_F(ExecExecd, IsFoundAgainByAClientAfterARestart) {
  resource("queue", "as-root = yes\nprogram = " + script("hold", "[ $1 != check ]||exit 2") + "\n");
  auto executor = client();
  ASSERT_TRUE(executor->probe(call()));
  stop();
  EXPECT_FALSE(executor->probe(call()));
  EXPECT_EQ(executor->watch_fd(), -1);
  start();
  EXPECT_TRUE(executor->probe(call()));
}

TEST_F(ExecExecd, ClosesTheConnectionOfAClientThatSpeaksNonsense) {
  const base::Deadline deadline = base::Deadline::in(seconds(5));
  for (const std::string& nonsense : {std::string("GET / HTTP/1.0\n"), std::string(4096, 'x'),
                                      std::string("holdfast-exec/1 freeze ../../tmp/x w-1 5\n")}) {
    auto connection = base::connect_unix(path("exec.sock"), deadline);
    ASSERT_TRUE(connection);
    ASSERT_TRUE(base::send_all(connection->get(), nonsense, deadline));
    const auto said = base::receive_all(connection->get(), "", 4096, deadline);
    // Perhaps a reply, then the end of the stream; a reset if not all was read.
    const std::string text = said.value_or("");
    EXPECT_TRUE(text.empty() || text.starts_with("holdfast-exec/1 protocol ")) << text;
  }
}

TEST_F(ExecExecd, ServesOneResourceForEachConnection) {
  resource("queue", "as-root = yes\ndirectory = " + path("programs") + "\n");
  const base::Deadline deadline = base::Deadline::in(seconds(5));
  auto connection = base::connect_unix(path("exec.sock"), deadline);
  ASSERT_TRUE(connection);
  std::string buffer;
  const auto ask = [&](const std::string& line) {
    EXPECT_TRUE(base::send_all(connection->get(), line, deadline));
    return base::receive_line(connection->get(), buffer, 4096, deadline).value_or("nothing");
  };
  EXPECT_EQ(ask("holdfast-exec/1 probe queue - 1000\n"), "holdfast-exec/1 ok ");
  EXPECT_EQ(ask("holdfast-exec/1 probe other - 1000\n"),
            "holdfast-exec/1 usage this connection serves 'queue'");
}

}  // namespace
}  // namespace holdfast::exec
