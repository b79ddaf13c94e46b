// SPDX-License-Identifier: MIT
#include "ctl/prove.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <deque>
#include <fstream>

#include "support/temporary_directory.h"

namespace holdfast::ctl {
namespace {

using base::Error;
using base::ErrorCode;
using base::Json;
using Ending = base::ProcessOutcome::Ending;

class Programs final : public base::ProcessRunner {
 public:
  void answers(const std::string& output, int status = 0, Ending ending = Ending::kExited) {
    base::ProcessOutcome outcome;
    outcome.ending = ending;
    outcome.status = status;
    outcome.output = output;
    outcome.error_output = status == 0 ? "" : "it said why\n";
    outcomes_.push_back(std::move(outcome));
  }
  [[nodiscard]] base::ProcessOutcome run(const base::ProcessSpec& spec) override {
    calls_.push_back(spec.argv);
    if (outcomes_.empty()) {
      ADD_FAILURE() << "a call that nobody expects";
      return {};
    }
    auto outcome = std::move(outcomes_.front());
    outcomes_.pop_front();
    return outcome;
  }
  [[nodiscard]] const std::vector<std::vector<std::string>>& calls() const { return calls_; }

 private:
  std::deque<base::ProcessOutcome> outcomes_;
  std::vector<std::vector<std::string>> calls_;
};

Json resource(const std::string& name, const std::string& state = "ready", bool required = true) {
  return {{"name", name},
          {"plugin", name.substr(0, name.find(':'))},
          {"state", state},
          {"required", required},
          {"engine", "Fake"},
          {"version", "1"},
          {"text", state == "ready" ? "" : "connection refused"}};
}

constexpr const char* kUp = R"({"check":"up","verdict":"ok","text":"Fake 1 at /s"})"
                            "\n";
constexpr const char* kSound = R"({"check":"sound","verdict":"ok","text":"3 tables checked"})"
                               "\n";
constexpr const char* kThere = R"({"check":"position","verdict":"ok","text":"0-1-9 has 0-1-7"})"
                               "\n";

class ProveTest : public ::testing::Test {
 protected:
  ProveTest() {
    wish_.programs = directory_.path();
    wish_.resources = "/r";
    wish_.record = directory_.file("freeze.json");
    wish_.wait = base::Millis(0);
    program("holdfast-fake-prove");
  }

  void program(const std::string& name) {
    std::ofstream(directory_.file(name)) << "";
    ASSERT_EQ(::chmod(directory_.file(name).c_str(), 0700), 0);
  }
  void record(const std::string& text) { std::ofstream(wish_.record) << text; }
  Proof proof_of(const std::vector<Json>& resources, int status = 0) {
    return proof_of_document(Json(resources), status);
  }
  Proof proof_of_document(const Json& resources, int status = 0) {
    return prove(
        programs_,
        [&]() -> base::Result<Reply> {
          Reply reply;
          reply.line = {status, status == 0 ? "ok" : "unreachable", status == 0 ? "" : "not ready"};
          reply.document = {{"resources", resources}};
          return reply;
        },
        wish_);
  }
  static std::string all_right() { return std::string(kUp) + kSound + kThere; }

  support::TemporaryDirectory directory_;
  Programs programs_;
  ProveWish wish_;
};

TEST_F(ProveTest, HandsTheRecordedPositionToTheProgramOfThePlugin) {
  record(R"({"window":"w1","sequence":4,"boot":"b","resources":[
    {"name":"other:main","position":{"lsn":"1"}},
    {"name":"fake:main","position":{"gtid":"0-1-7","binlog-file":"b.000003"}}]})");
  programs_.answers(all_right());
  const Proof proof = proof_of({resource("fake:main")});
  EXPECT_EQ(proof.exit_status(), 0);
  ASSERT_EQ(programs_.calls().size(), 1U);
  EXPECT_EQ(
      programs_.calls()[0],
      (std::vector<std::string>{directory_.file("holdfast-fake-prove"), "--config=/r/main.conf",
                                "--recorded=gtid=0-1-7", "--recorded=binlog-file=b.000003"}));
  const Json json = proof_json(proof);
  EXPECT_EQ(json["status"], 0);
  EXPECT_EQ(json["record"]["window"], "w1");
  EXPECT_EQ(json["record"]["sequence"], 4);
  EXPECT_EQ(json["resources"][0]["recorded"]["gtid"], "0-1-7");
  EXPECT_EQ(json["resources"][0]["sound"]["verdict"], "ok");
  EXPECT_EQ(json["resources"][0]["problem"], "");
}

TEST_F(ProveTest, ShowsWhatEachProgramSays) {
  programs_.answers(all_right());
  EXPECT_EQ(proof_text(proof_of({resource("fake:main")})),
            "recorded: no freeze\n"
            "fake:main: proven\n"
            "  up: Fake 1 at /s\n"
            "  sound: 3 tables checked\n"
            "  position: 0-1-9 has 0-1-7\n");
}

TEST_F(ProveTest, FailsForWhatIsNotSoundAndForAPositionBeforeTheRecordedOne) {
  programs_.answers(std::string(kUp) +
                    "{\"check\":\"sound\",\"verdict\":\"bad\",\"text\":\"t: \\u001b[1mbad\"}\n" +
                    kThere);
  programs_.answers(std::string(kUp) + kSound +
                    "{\"check\":\"position\",\"verdict\":\"bad\",\"text\":\"5 is before 9\"}\n");
  const Proof proof = proof_of({resource("fake:a"), resource("fake:b")});
  EXPECT_EQ(proof.exit_status(), 1);
  EXPECT_EQ(proof.resources[0].problem(), "not sound: t: \\x1b[1mbad");
  EXPECT_EQ(proof.resources[1].problem(), "before its backup: 5 is before 9");
}

TEST_F(ProveTest, WhatIsNotUpIsNotAskedFurtherAndFailsOnlyIfItIsRequired) {
  const Proof required = proof_of({resource("fake:main", "not-ready")}, 21);
  EXPECT_EQ(required.exit_status(), 1);
  EXPECT_EQ(required.resources[0].problem(), "not up: connection refused");
  const Proof optional = proof_of({resource("fake:main", "not-ready", false)});
  EXPECT_EQ(optional.exit_status(), 0);
  EXPECT_EQ(optional.resources[0].problem(), "not up: connection refused");
  EXPECT_TRUE(programs_.calls().empty());
}

TEST_F(ProveTest, APluginWithoutAProgramIsAsGoodAsTheDaemonFindsIt) {
  const Proof proof = proof_of({resource("exec:cache")});
  EXPECT_EQ(proof.exit_status(), 0);
  EXPECT_EQ(proof_json(proof)["resources"][0]["sound"]["verdict"], "none");
  EXPECT_EQ(proof.resources[0].sound.text, "the plugin 'exec' has no check");
}

TEST_F(ProveTest, AnAnswerThatLacksOrCannotBeReadProvesNothing) {
  for (const std::string& said :
       {std::string(), std::string(kUp), std::string(kUp) + kSound, std::string("rubbish\n"),
        all_right() + "[]\n", all_right() + R"({"check":"colour","verdict":"ok"})",
        std::string(kUp) + R"({"check":"sound","verdict":"perhaps"})"}) {
    programs_.answers(said);
    EXPECT_EQ(proof_of({resource("fake:main")}).exit_status(), 1) << said;
  }
}

TEST_F(ProveTest, AProgramThatFailsOrTakesTooLongProvesNothingWhateverItSaidBefore) {
  programs_.answers(all_right(), 1);
  programs_.answers(all_right(), 0, Ending::kTimedOut);
  EXPECT_EQ(proof_of({resource("fake:main")}).resources[0].problem(),
            "not sound: unable to run '" + directory_.file("holdfast-fake-prove") +
                "': exited with status 1: it said why");
  EXPECT_EQ(proof_of({resource("fake:main")}).exit_status(), 1);
}

TEST_F(ProveTest, ADaemonThatDoesNotAnswerOrSaysNothingProvesNothing) {
  const Proof silent = prove(
      programs_,
      []() -> base::Result<Reply> { return Error(ErrorCode::kDaemonUnreachable, "no answer"); },
      wish_);
  EXPECT_EQ(silent.exit_status(), 1);
  EXPECT_EQ(silent.problem, "no answer");
  EXPECT_EQ(proof_json(silent)["problem"], "no answer");
  EXPECT_EQ(proof_of_document(nullptr).exit_status(), 1);
}

TEST_F(ProveTest, WaitsUntilWhatIsRequiredIsUp) {
  wish_.wait = base::Millis(60'000);
  programs_.answers(all_right());
  int asked = 0;
  const Proof proof = prove(
      programs_,
      [&]() -> base::Result<Reply> {
        if (++asked == 1) return Error(ErrorCode::kDaemonUnreachable, "no answer");
        Reply reply;
        reply.document = {{"resources", Json::array({resource("fake:main")})}};
        return reply;
      },
      wish_);
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(proof.exit_status(), 0);
}

TEST_F(ProveTest, ARecordThatIsNoneIsNoRecord) {
  for (const char* text : {"", "[]", "{}", "{\"window\":7}"}) {
    record(text);
    programs_.answers(all_right());
    EXPECT_TRUE(proof_of({resource("fake:main")}).record.is_null()) << text;
  }
}

TEST_F(ProveTest, SaysThatThereIsNothingToProve) {
  const Proof proof = proof_of({});
  EXPECT_EQ(proof.exit_status(), 0);
  EXPECT_EQ(proof_text(proof), "recorded: no freeze\nno resources are configured\n");
}

}  // namespace
}  // namespace holdfast::ctl
