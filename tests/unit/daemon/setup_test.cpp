// SPDX-License-Identifier: MIT
#include "ctl/setup.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "support/temporary_directory.h"

namespace holdfast::ctl {
namespace {

// Setup programs of which each call is written down beforehand; another call fails the test.
class ScriptedRunner final : public base::ProcessRunner {
 public:
  void expect(const std::string& call, const std::string& output, int status = 0,
              const std::string& error = {}) {
    base::ProcessOutcome outcome;
    outcome.ending = base::ProcessOutcome::Ending::kExited;
    outcome.status = status;
    outcome.output = output;
    outcome.error_output = error;
    script_[call] = outcome;
  }
  [[nodiscard]] base::ProcessOutcome run(const base::ProcessSpec& spec) override {
    std::string call = spec.argv.front().substr(spec.argv.front().rfind('/') + 1);
    for (std::size_t i = 1; i < spec.argv.size(); ++i)
      call += " " + spec.argv[i];
    calls_.push_back(call);
    const auto found = script_.find(call);
    EXPECT_NE(found, script_.end()) << call;
    return found == script_.end() ? base::ProcessOutcome{} : found->second;
  }
  [[nodiscard]] const std::vector<std::string>& calls() const { return calls_; }

 private:
  std::map<std::string, base::ProcessOutcome> script_;
  std::vector<std::string> calls_;
};

class SetupTest : public ::testing::Test {
 protected:
  SetupTest() { wish_.directory = directory_.path(); }
  void program(const std::string& name) { std::ofstream(directory_.file(name)) << ""; }
  SetupOutcome run() { return run_setup(runner_, wish_); }

  support::TemporaryDirectory directory_;
  ScriptedRunner runner_;
  SetupWish wish_;
};

constexpr const char* kServer =
    R"({"name":"db","what":"Fake at /s","arguments":["--socket=/s","--config=/c"]})"
    "\n";
constexpr const char* kSteps = R"({"step":"statement","text":"CREATE USER x"})"
                               "\n"
                               R"({"step":"file","text":"/c","content":"plugin = fake\nuser = x"})"
                               "\n";

TEST_F(SetupTest, ShowsWhatEachProgramWouldDoAndHasNoneDoIt) {
  program("holdfast-fake-setup");
  program("holdfast-fsd");
  program("setup-lib.sh");
  runner_.expect("holdfast-fake-setup detect", kServer);
  runner_.expect("holdfast-fake-setup plan --socket=/s --config=/c", kSteps);
  const SetupOutcome outcome = run();
  EXPECT_EQ(outcome.exit_status(), 0);
  EXPECT_EQ(runner_.calls().size(), 2U);
  EXPECT_EQ(setup_text(outcome, wish_),
            "fake 'db': Fake at /s\n"
            "  would run CREATE USER x;\n"
            "  would write /c\n"
            "    | plugin = fake\n"
            "    | user = x\n"
            "nothing has been done: add --yes to do it\n");
}

TEST_F(SetupTest, HasItDoneWhenThatIsWanted) {
  program("holdfast-fake-setup");
  wish_.yes = true;
  runner_.expect("holdfast-fake-setup detect", kServer);
  runner_.expect("holdfast-fake-setup apply --socket=/s --config=/c", kSteps);
  const SetupOutcome outcome = run();
  EXPECT_TRUE(setup_text(outcome, wish_).ends_with("to use it: systemctl restart holdfastd\n"));
  const base::Json json = setup_json(outcome, wish_);
  EXPECT_EQ(json["done"], true);
  EXPECT_EQ(json["servers"][0]["steps"][1]["content"], "plugin = fake\nuser = x");
}

TEST_F(SetupTest, SaysWhenThereIsNothingToDo) {
  program("holdfast-fake-setup");
  runner_.expect("holdfast-fake-setup detect", kServer);
  runner_.expect("holdfast-fake-setup plan --socket=/s --config=/c",
                 R"({"step":"note","text":"'/c' exists and stays as it is"})");
  EXPECT_EQ(setup_text(run(), wish_),
            "fake 'db': Fake at /s\n  '/c' exists and stays as it is\n  nothing to do\n");
}

TEST_F(SetupTest, AsksForWhatWasMadeWhenThatIsToBeTakenBack) {
  program("holdfast-fake-setup");
  wish_.remove = true;
  wish_.yes = true;
  runner_.expect("holdfast-fake-setup detect --remove", kServer);
  runner_.expect("holdfast-fake-setup apply --remove --socket=/s --config=/c",
                 R"({"step":"remove","text":"/c"})");
  EXPECT_EQ(setup_text(run(), wish_),
            "fake 'db': Fake at /s\n  removed /c\nto use it: systemctl restart holdfastd\n");
}

TEST_F(SetupTest, GoesOnWithTheOthersWhenOneFailsAndSaysSo) {
  program("holdfast-a-setup");
  program("holdfast-b-setup");
  wish_.yes = true;
  runner_.expect("holdfast-a-setup detect", kServer);
  runner_.expect("holdfast-a-setup apply --socket=/s --config=/c",
                 "{\"step\":\"statement\",\"text\":\"CREATE USER x\"}\n", 1,
                 "holdfast-a-setup: unable to run: GRANT\nmore\n");
  runner_.expect("holdfast-b-setup detect", "");
  const SetupOutcome outcome = run();
  EXPECT_EQ(outcome.exit_status(), 1);
  EXPECT_EQ(outcome.servers.size(), 1U);
  EXPECT_EQ(outcome.servers[0].steps.size(), 1U);
  EXPECT_TRUE(outcome.servers[0].problem.ends_with("holdfast-a-setup: unable to run: GRANT"));
}

TEST_F(SetupTest, TakesNothingForAStepThatIsNotInItsForm) {
  program("holdfast-fake-setup");
  runner_.expect("holdfast-fake-setup detect", "MySQL at /s\n");
  const SetupOutcome outcome = run();
  EXPECT_EQ(outcome.exit_status(), 1);
  EXPECT_NE(outcome.servers[0].problem.find("unable to read what"), std::string::npos);
}

TEST_F(SetupTest, SaysWhenThereIsNobodyToAskAndNothingToFind) {
  EXPECT_EQ(run().exit_status(), 1);
  EXPECT_TRUE(setup_text(run(), wish_).ends_with("install the plugins first\n"));
  program("holdfast-fake-setup");
  runner_.expect("holdfast-fake-setup detect", "");
  EXPECT_EQ(run().exit_status(), 0);
  EXPECT_EQ(setup_text(run(), wish_), "no server was found that a plugin could hold\n");
}

TEST_F(SetupTest, ShowsNothingThatCouldMoveACursor) {
  program("holdfast-fake-setup");
  runner_.expect("holdfast-fake-setup detect",
                 R"({"name":"x\u001b[2J","what":"\u001b]0;","arguments":[]})");
  runner_.expect("holdfast-fake-setup plan", R"({"step":"statement","text":"\u001b[H"})");
  EXPECT_EQ(setup_text(run(), wish_).find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace holdfast::ctl
