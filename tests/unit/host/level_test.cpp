// SPDX-License-Identifier: MIT
#include "run/level.h"

#include <gtest/gtest.h>

namespace holdfast::host::run {
namespace {

using base::Error;
using base::ErrorCode;
using base::Json;
using repository::Level;

Json record_json() {
  return {
      {"schema", 1},
      {"sequence", 5},
      {"boot", "b"},
      {"state", "done"},
      {"verdict", {{"code", "ok"}, {"status", 0}, {"text", ""}}},
      {"resources",
       Json::array({{{"name", "mysql:main"}, {"required", true}, {"verdict", {{"code", "ok"}}}}})}};
}

GuestRecord record_of(const Json& json) {
  auto record = parse_guest_record(base::to_line(json));
  EXPECT_TRUE(record) << (record ? "" : record.error().text());
  return std::move(*record);
}

// A window in which everything went well.
Evidence good() {
  Evidence evidence;
  evidence.window.attempted = true;
  evidence.window.freeze_count = 3;
  evidence.window.tried = true;
  evidence.window.frozen_after = true;
  evidence.window.thaw_count = 3;
  evidence.before = {true, "b", 4, {}};
  evidence.record = record_of(record_json());
  return evidence;
}

void fail_thaw(Evidence& evidence, const std::string& text, std::optional<int> status) {
  evidence.window.thaw_count.reset();
  evidence.window.thaw_error = Error(ErrorCode::kGuest, text);
  evidence.window.hook_status = status;
}

void expect(const Evidence& evidence, Level level, const std::string& reason) {
  const Verdict verdict = decide_level(evidence);
  EXPECT_EQ(name_of(verdict.level), name_of(level)) << reason;
  ASSERT_FALSE(verdict.reasons.empty());
  EXPECT_EQ(verdict.reasons.front(), reason);
}

TEST(Level, IsApplicationWhenTheGuestHasProvenIt) {
  const Verdict verdict = decide_level(good());
  EXPECT_EQ(verdict.level, Level::kApplication);
  EXPECT_TRUE(verdict.reasons.empty());
}

TEST(Level, IsApplicationForTheFirstWindowAfterABoot) {
  Evidence evidence = good();
  evidence.before = {true, "", 0, {}};
  Json json = record_json();
  json["sequence"] = 1;
  evidence.record = record_of(json);
  EXPECT_EQ(decide_level(evidence).level, Level::kApplication);
}

TEST(Level, NeverTakesADrillForTheWindow) {
  Evidence evidence = good();
  Json json = record_json();
  json["kind"] = "drill";
  evidence.record = record_of(json);
  expect(evidence, Level::kFilesystem, "the guest's record is not of a freeze, but of a 'drill'");
}

TEST(Level, IsCrashWithoutAFreeze) {
  Evidence evidence = good();
  evidence.window.attempted = false;
  evidence.not_tried = "no agent";
  expect(evidence, Level::kCrash, "no freeze was tried: no agent");
}

TEST(Level, IsCrashWhenTheGuestRefusedWithTheMeaningOfItsStatus) {
  Evidence evidence = good();
  evidence.window.freeze_count.reset();
  evidence.window.freeze_error =
      Error(ErrorCode::kGuest, "fsfreeze hook has failed with status 21");
  expect(evidence, Level::kCrash,
         "the freeze failed: fsfreeze hook has failed with status 21: a required resource could "
         "not be held");
}

TEST(Level, PassesOnWhatTheGuestSaysAboutARefusedFreeze) {
  Evidence evidence = good();
  evidence.window.freeze_count.reset();
  evidence.window.freeze_error = Error(ErrorCode::kGuest, "no");
  Json json = record_json();
  json["verdict"] = {{"code", "hold-failed"}, {"status", 21}, {"text", "mysql:main: no server"}};
  evidence.record = record_of(json);
  expect(evidence, Level::kCrash,
         "the freeze failed: no; the guest says 'hold-failed': mysql:main: no server");
  evidence.before.sequence = 5;  // it is that of the window before
  expect(evidence, Level::kCrash, "the freeze failed: no");
}

TEST(Level, IsCrashWhenNothingWasFrozen) {
  Evidence evidence = good();
  evidence.window.freeze_count = 0;
  evidence.window.thaw_count = 0;
  expect(evidence, Level::kCrash, "the guest froze no filesystem");
}

TEST(Level, IsCrashWhenNoLongerFrozenAfterTheSnapshot) {
  Evidence evidence = good();
  evidence.window.frozen_after = false;
  expect(evidence, Level::kCrash, "the guest was not frozen any more after the snapshot");
}

TEST(Level, IsCrashWhenTheCountsDiffer) {
  Evidence evidence = good();
  evidence.window.thaw_count = 0;
  expect(evidence, Level::kCrash,
         "the guest froze 3 filesystems and thawed 0: something else had thawed them");
}

TEST(Level, IsCrashWhenTheThawFailedOutright) {
  Evidence evidence = good();
  fail_thaw(evidence, "timed out waiting for an answer", std::nullopt);
  expect(evidence, Level::kCrash, "the thaw failed: timed out waiting for an answer");
}

TEST(Level, IsCrashWhenTheWindowHadExpired) {
  Evidence evidence = good();
  fail_thaw(evidence, "fsfreeze hook has failed with status 31", 31);
  expect(evidence, Level::kCrash,
         "the window had expired: the guest thawed by itself, perhaps before the snapshot");
  // A newer agent gives the words and not the status; the record tells.
  Json json = record_json();
  json["verdict"] = {{"code", "window-expired"}, {"status", 31}, {"text", ""}};
  fail_thaw(evidence, "child process has failed to execute hook: expired", std::nullopt);
  evidence.record = record_of(json);
  expect(evidence, Level::kCrash,
         "the window had expired: the guest thawed by itself, perhaps before the snapshot");
}

TEST(Level, IsFilesystemWhenTheThawHookComplains) {
  struct Case {
    int status;
    std::string reason;
  };
  for (const Case& one :
       {Case{30, "the guest's thaw hook ended with status 30: a hold was lost during the window"},
        Case{32,
             "the guest's thaw hook ended with status 32: the holds were unbroken, but a "
             "release reported an error"},
        Case{33,
             "the guest's thaw hook ended with status 33: the guest's holdfastd restarted or "
             "could not be reached during the window"},
        Case{1, "the guest's thaw hook ended with status 1"}}) {
    Evidence evidence = good();
    fail_thaw(evidence, "fsfreeze hook has failed", one.status);
    expect(evidence, Level::kFilesystem, one.reason);
  }
}

TEST(Level, IsFilesystemWithoutARecord) {
  Evidence evidence = good();
  evidence.record.reset();
  evidence.record_problem = "Command guest-file-open has been disabled";
  expect(evidence, Level::kFilesystem,
         "the guest's record could not be read: Command guest-file-open has been disabled");
}

TEST(Level, IsFilesystemWhenTheRecordIsNotOfThisWindow) {
  for (const std::int64_t sequence : {std::int64_t{4}, std::int64_t{6}, std::int64_t{0},
                                      std::int64_t{-1}, INT64_MIN, INT64_MAX}) {
    Evidence evidence = good();
    Json json = record_json();
    json["sequence"] = sequence;
    evidence.record = record_of(json);
    expect(evidence, Level::kFilesystem,
           "the guest's record is not of this window: number " + std::to_string(sequence) +
               " after 4");
  }
  Evidence evidence = good();
  evidence.before.boot = "another";
  expect(evidence, Level::kFilesystem,
         "the guest's record is not of this window: number 5 after 4, of another boot");
}

TEST(Level, IsFilesystemWhenTheEarlierRecordIsUnknown) {
  Evidence evidence = good();
  evidence.before = {false, "", 0, "timed out"};
  Json json = record_json();
  json["sequence"] = 1;  // would look like the first one
  evidence.record = record_of(json);
  expect(evidence, Level::kFilesystem,
         "the guest's record before the freeze could not be read: timed out");
}

TEST(Level, IsFilesystemForEveryRecordThatSaysLessThanOk) {
  const auto with = [](const std::string& key, const Json& value) {
    Evidence evidence = good();
    Json json = record_json();
    json[key] = value;
    evidence.record = record_of(json);
    return evidence;
  };
  expect(with("state", "held"), Level::kFilesystem, "the guest's record is not complete: 'held'");
  expect(with("verdict", nullptr), Level::kFilesystem, "the guest's verdict is ''");
  expect(with("verdict", {{"code", "ok"}}), Level::kFilesystem, "the guest's verdict is 'ok'");
  expect(with("verdict", {{"code", "hold-lost"}, {"status", 30}, {"text", "gone"}}),
         Level::kFilesystem, "the guest's verdict is 'hold-lost': gone");
  expect(with("resources", Json::array()), Level::kFilesystem,
         "the guest's Holdfast held no resource");
  expect(with("resources", Json::array({{{"name", "m"}, {"verdict", {{"code", "hold-lost"}}}}})),
         Level::kFilesystem, "resource 'm': 'hold-lost'");
  expect(with("resources",
              Json::array(
                  {{{"name", "m"}, {"required", false}, {"verdict", {{"code", "hold-failed"}}}}})),
         Level::kFilesystem, "the guest's Holdfast held no resource");
}

TEST(Level, NotesAResourceThatWasNotRequired) {
  Evidence evidence = good();
  Json json = record_json();
  json["resources"].push_back(
      {{"name", "x"}, {"required", false}, {"verdict", {{"code", "hold-failed"}, {"text", "t"}}}});
  evidence.record = record_of(json);
  const Verdict verdict = decide_level(evidence);
  EXPECT_EQ(verdict.level, Level::kApplication);
  EXPECT_EQ(verdict.notes,
            std::vector<std::string>{"resource 'x': 'hold-failed': t (not required)"});
}

TEST(GuestRecord, IsMadePrintableThroughout) {
  Json json = record_json();
  json["resources"][0]["name"] = "\x1b[2J";
  json["evil\nkey"] = "a\tb";
  const GuestRecord record = record_of(json);
  EXPECT_EQ(record.resources[0].name, "\\x1b[2J");
  EXPECT_EQ(record.document.at("evil\\x0akey"), "a\\x09b");
}

TEST(GuestRecord, RefusesWhatIsNone) {
  Json large = record_json();
  large["x"] = Json::array();
  for (int i = 0; i < 100'000; ++i)
    large["x"].push_back(1000000 + i);
  Json other = record_json();
  other["schema"] = 2;
  Json huge = record_json();
  huge["sequence"] = 1.5e300;
  for (const std::string& text :
       {std::string("{}"), std::string("[]"), std::string("null"), std::string(),
        base::to_line(large), base::to_line(other), base::to_line(huge),
        std::string(100, '[') + std::string(100, ']'),
        std::string("{\"schema\": 1, \"sequence\": 99999999999999999999}")}) {
    EXPECT_FALSE(parse_guest_record(text)) << text.substr(0, 80);
  }
}

TEST(EarlierRecord, TellsAbsentFromUnreadable) {
  EXPECT_TRUE(earlier_record(Error(ErrorCode::kNotFound, "x")).known);
  EXPECT_FALSE(earlier_record(Error(ErrorCode::kUnsupported, "x")).known);
  EXPECT_FALSE(earlier_record(std::string("rubbish")).known);
  const EarlierRecord read = earlier_record(base::to_line(record_json()));
  EXPECT_TRUE(read.known);
  EXPECT_EQ(read.sequence, 5);
  EXPECT_EQ(read.boot, "b");
}

}  // namespace
}  // namespace holdfast::host::run
