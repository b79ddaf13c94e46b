// SPDX-License-Identifier: MIT
#include "exec/exec_plugin.h"

#include "exec_fixture.h"

namespace holdfast::exec {
namespace {

using base::Deadline;
using std::chrono::seconds;

class ExecPluginTest : public ExecFixture {
 protected:
  [[nodiscard]] std::unique_ptr<ExecPlugin> made() {
    return std::make_unique<ExecPlugin>(
        api::PluginContext{"exec:queue", processes_, path("state"), path("queue.resource")});
  }
  [[nodiscard]] std::unique_ptr<ExecPlugin> with_program(const std::string& program) {
    auto plugin = made();
    EXPECT_TRUE(plugin->configure({"program", program, "queue.conf:1"}));
    const auto finished = plugin->finish_config("queue.conf");
    EXPECT_TRUE(finished) << finished.error().text();
    return plugin;
  }
};

TEST_F(ExecPluginTest, HoldsAndReleases) {
  auto plugin = with_program(script("hold"));
  const auto report = plugin->probe(Deadline::in(seconds(5)), {});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->identity.engine, "exec");
  EXPECT_TRUE(plugin->prepare({"w-1"}, Deadline::in(seconds(5)), {}));
  auto hold = plugin->hold({"w-1"}, Deadline::in(seconds(5)), {});
  ASSERT_TRUE(hold) << hold.error().text();
  EXPECT_TRUE((*hold)->position().empty());
  EXPECT_TRUE((*hold)->check(Deadline::in(seconds(5))));
  EXPECT_TRUE((*hold)->release(Deadline::in(seconds(5))));
  EXPECT_TRUE((*hold)->release(Deadline::in(seconds(5))));
  plugin->rollback(Deadline::in(seconds(5)));
  EXPECT_EQ(journal(),
            (Lines{"hold check", "hold prepare", "hold freeze", "hold check", "hold thaw"}));
}

TEST_F(ExecPluginTest, ReleasesAHoldThatIsDropped) {
  auto plugin = with_program(script("hold"));
  { auto hold = plugin->hold({"w-1"}, Deadline::in(seconds(5)), {}); }
  EXPECT_EQ(journal(), (Lines{"hold freeze", "hold thaw"}));
}

TEST_F(ExecPluginTest, TellsThawToTheProgramsOfAServiceThatWasKilledInAWindow) {
  const std::string program = script("hold");
  const std::string note = path("queue.resource");
  auto first = with_program(program);
  auto hold = first->hold({"w-1"}, Deadline::in(seconds(5)), {});
  ASSERT_TRUE(hold);
  ASSERT_TRUE(std::filesystem::exists(note));
  // What is left of a service that was killed: its note, and nobody who lets go.
  auto next = with_program(program);
  ASSERT_TRUE(next->probe(Deadline::in(seconds(5)), {}));
  EXPECT_EQ(journal(), (Lines{"hold freeze", "hold thaw", "hold check"}));
  EXPECT_FALSE(std::filesystem::exists(note));
  ASSERT_TRUE(next->probe(Deadline::in(seconds(5)), {}));
  EXPECT_EQ(journal(), (Lines{"hold freeze", "hold thaw", "hold check", "hold check"}));
}

TEST_F(ExecPluginTest, OwesNothingAfterAReleaseOrARollback) {
  auto plugin = with_program(script("hold"));
  ASSERT_TRUE(plugin->prepare({"w-1"}, Deadline::in(seconds(5)), {}));
  EXPECT_TRUE(std::filesystem::exists(path("queue.resource")));
  plugin->rollback(Deadline::in(seconds(5)));
  EXPECT_FALSE(std::filesystem::exists(path("queue.resource")));
  {
    auto hold = plugin->hold({"w-2"}, Deadline::in(seconds(5)), {});
    ASSERT_TRUE(hold);
    EXPECT_TRUE((*hold)->release(Deadline::in(seconds(5))));
  }
  EXPECT_FALSE(std::filesystem::exists(path("queue.resource")));
  ASSERT_TRUE(plugin->probe(Deadline::in(seconds(5)), {}));
  EXPECT_EQ(journal(),
            (Lines{"hold prepare", "hold thaw", "hold freeze", "hold thaw", "hold check"}));
}

TEST_F(ExecPluginTest, TellsTheWindowOfTheDebtAndSaysOnceThatAProgramWouldNotThaw) {
  const std::string program = script("hold", "[ $1 != thaw ] || { echo \"$HOLDFAST_WINDOW\" >" +
                                                 path("window") + "; echo stuck >&2; exit 1; }");
  write("queue.resource", "w-9\n", 0600);
  auto plugin = with_program(program);
  const auto failed = plugin->probe(Deadline::in(seconds(5)), {});
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().text().find("stuck"), std::string::npos) << failed.error().text();
  std::ifstream window(path("window"));
  std::string told;
  window >> told;
  EXPECT_EQ(told, "w-9");
  EXPECT_TRUE(plugin->probe(Deadline::in(seconds(5)), {}));
}

TEST_F(ExecPluginTest, NeedsAProgram) {
  auto plugin = made();
  const auto finished = plugin->finish_config("queue.conf");
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().text(), "exec:queue: one of 'program' and 'directory' is needed");
}

TEST_F(ExecPluginTest, SaysThatTheHelperForRootCannotBeReached) {
  auto plugin = made();
  ASSERT_TRUE(plugin->configure({"program", "/bin/true", "queue.conf:1"}));
  ASSERT_TRUE(plugin->configure({"as-root", "yes", "queue.conf:2"}));
  ASSERT_TRUE(plugin->configure({"exec-socket", path("none.sock"), "queue.conf:3"}));
  ASSERT_TRUE(plugin->finish_config("queue.conf"));
  const auto report = plugin->probe(Deadline::in(seconds(5)), {});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().one_line(), "unable to reach holdfast-execd: unable to connect to '" +
                                           path("none.sock") +
                                           "': No such file or directory (systemctl status "
                                           "holdfast-exec)");
}

}  // namespace
}  // namespace holdfast::exec
