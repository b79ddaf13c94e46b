// SPDX-License-Identifier: MIT
#include "boot/judgement.h"

#include <gtest/gtest.h>

namespace holdfast::host::boot {
namespace {

using base::Json;
using repository::ProofResult;

Json record() {
  return {{"window", "w1"},
          {"resources",
           {{{"name", "mysql:main"},
             {"required", true},
             {"position", {{"binlog-file", "b.1"}, {"binlog-position", "42"}}}},
            {{"name", "exec:hooks"}, {"required", true}, {"position", Json::object()}}}}};
}

Json verdict(const char* verdict, const char* text = "") {
  return {{"verdict", verdict}, {"text", text}};
}

Json answer() {
  return {{"schema", 1},
          {"holdfast", "0.1.0"},
          {"record", {{"window", "w1"}}},
          {"resources",
           {{{"name", "mysql:main"},
             {"required", true},
             // In another order.
             {"recorded", {{"binlog-position", "42"}, {"binlog-file", "b.1"}}},
             {"up", verdict("ok")},
             {"sound", verdict("ok")},
             {"position", verdict("ok")}},
            {{"name", "exec:hooks"},
             {"required", true},
             {"recorded", Json::object()},
             {"up", verdict("ok")},
             {"sound", verdict("none")},
             {"position", verdict("none")}}}},
          {"problem", ""},
          {"status", 0}};
}

GuestAnswer of(Json proof) {
  return {std::move(proof), {}, false};
}

// What fails for this one reason.
void expect_failed(const Json& proof, const std::string& reason) {
  const Judgement judgement = judge(record(), of(proof));
  EXPECT_EQ(judgement.result, ProofResult::kFailed);
  EXPECT_EQ(judgement.reasons, std::vector<std::string>{reason});
}

TEST(Judgement, ProvesWhatIsUpSoundAndWhereTheBackupRecordsIt) {
  const Judgement judgement = judge(record(), of(answer()));
  EXPECT_EQ(judgement.result, ProofResult::kProven);
  EXPECT_TRUE(judgement.reasons.empty());
  EXPECT_EQ(judgement.notes,
            std::vector<std::string>{"exec:hooks: it is up, and nothing checks what it holds"});
  EXPECT_EQ(judgement.guest.at("resources").size(), 2U);
}

TEST(Judgement, FailsForEachVerdictAgainstARequiredResource) {
  Json proof = answer();
  for (const auto& [check, reason] :
       {std::pair{"up", "mysql:main: not up: gone"},
        std::pair{"sound", "mysql:main: not sound: gone"},
        std::pair{"position", "mysql:main: before its backup: gone"}}) {
    Json bad = answer();
    bad["resources"][0][check] = verdict("bad", "gone");
    expect_failed(bad, reason);
  }
  proof["resources"][0]["up"] = verdict("none");
  expect_failed(proof, "mysql:main: nothing says that it is up");
  proof = answer();
  proof["problem"] = "the daemon\x1b[2J is away";
  expect_failed(proof, "the daemon\\x1b[2J is away");
  proof = answer();
  proof["status"] = 1;
  expect_failed(proof, "the guest says that it is not proven, and not why");
}

TEST(Judgement, LetsAResourceThatIsNotRequiredBeBad) {
  Json proof = answer();
  proof["resources"][1]["required"] = false;
  proof["resources"][1]["up"] = verdict("bad", "gone");
  const Judgement judgement = judge(record(), of(proof));
  EXPECT_EQ(judgement.result, ProofResult::kProven);
  EXPECT_EQ(judgement.notes, std::vector<std::string>{"not required: exec:hooks: not up: gone"});
}

TEST(Judgement, FailsOnDisksThatAreNotTheBackups) {
  Json proof = answer();
  proof["record"]["window"] = "w0";
  expect_failed(proof,
                "the freeze record on the guest's disk is of window 'w0', the backup's of 'w1'");
  proof["record"] = nullptr;
  expect_failed(proof,
                "there is no freeze record on the guest's disk, the backup's is of window 'w1'");
  proof = answer();
  proof["resources"][0]["recorded"]["binlog-position"] = "43";
  expect_failed(proof,
                "mysql:main: the position recorded on the guest's disk is not that of the backup");
  proof = answer();
  proof["resources"].erase(0);
  const Judgement judgement = judge(record(), of(proof));
  EXPECT_EQ(judgement.result, ProofResult::kFailed);
  EXPECT_EQ(
      judgement.reasons.front(),
      "mysql:main: it was held for the backup, and the guest that booted has no such resource");
}

TEST(Judgement, SaysLessWhereThereIsNothingToCompareOrToCheck) {
  const Judgement alone = judge(nullptr, of(answer()));
  EXPECT_EQ(alone.result, ProofResult::kProven);
  EXPECT_EQ(alone.notes.front(), "the backup has no freeze record to compare positions with");
  Json proof = answer();
  proof["resources"].erase(0);
  const Judgement unchecked = judge(nullptr, of(proof));
  EXPECT_EQ(unchecked.result, ProofResult::kBooted);
  EXPECT_EQ(unchecked.reasons,
            std::vector<std::string>{"the guest has no database that could be checked"});
}

TEST(Judgement, GradesAGuestThatSaysNothing) {
  const GuestAnswer missing{nullptr, "the guest has no Holdfast", true};
  const GuestAnswer forbidden{nullptr, "the guest agent may not", false};
  EXPECT_EQ(judge(nullptr, missing).result, ProofResult::kBooted);
  EXPECT_EQ(judge(record(), missing).result, ProofResult::kFailed);
  EXPECT_EQ(judge(record(), forbidden).result, ProofResult::kBooted);
}

TEST(Judgement, RefusesWhatIsNoAnswer) {
  Json without = answer();
  without["resources"][0].erase("sound");
  Json many = answer();
  for (int i = 0; i < 100; ++i)
    many["resources"].push_back(many["resources"][0]);
  for (const Json& proof : {Json(3), Json::object(), Json{{"schema", 1}}, without, many}) {
    const Judgement judgement = judge(record(), of(proof));
    EXPECT_EQ(judgement.result, ProofResult::kFailed) << proof;
    EXPECT_EQ(judgement.reasons,
              std::vector<std::string>{"the guest's answer is none that can be understood"});
  }
}

}  // namespace
}  // namespace holdfast::host::boot
