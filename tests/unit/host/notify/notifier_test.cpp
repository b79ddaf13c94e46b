// SPDX-License-Identifier: MIT
#include "notify/notifier.h"

#include <gtest/gtest.h>

#include "base/duration.h"
#include "base/file.h"
#include "support/temporary_directory.h"

namespace holdfast::host::notify {
namespace {

using base::Error;
using base::ErrorCode;
using base::ProcessOutcome;
using base::ProcessSpec;

constexpr auto kGood = Outcome::kGood;
constexpr auto kWarning = Outcome::kWarning;
constexpr auto kFailed = Outcome::kFailed;

TEST(IsNews, IsWhatTheSettingSays) {
  struct Row {
    Outcome before;
    Outcome now;
    bool failure;
    bool warning;
    bool change;
  };
  for (const Row& row :
       {Row{kGood, kGood, false, false, false}, Row{kGood, kWarning, false, true, true},
        Row{kGood, kFailed, true, true, true}, Row{kWarning, kGood, false, true, true},
        Row{kWarning, kWarning, false, true, false}, Row{kWarning, kFailed, true, true, true},
        Row{kFailed, kGood, true, true, true}, Row{kFailed, kWarning, true, true, true},
        Row{kFailed, kFailed, true, true, false}}) {
    EXPECT_EQ(is_news("failure", row.before, row.now), row.failure);
    EXPECT_EQ(is_news("warning", row.before, row.now), row.warning);
    EXPECT_EQ(is_news("change", row.before, row.now), row.change);
    EXPECT_TRUE(is_news("always", row.before, row.now));
  }
}

TEST(OutcomeOf, FollowsTheExitStatus) {
  EXPECT_EQ(outcome_of(0), kGood);
  EXPECT_EQ(outcome_of(3), kWarning);
  EXPECT_EQ(outcome_of(4), kWarning);
  for (const int status : {1, 2, 5, 255, -1})
    EXPECT_EQ(outcome_of(status), kFailed);
}

Told with(const std::string& vm, int status) {
  Told told{.vm = vm, .status = status};
  if (status != 0) {
    told.problems.push_back(
        Error(ErrorCode::kIo, "unable to\x1b[2J \ncopy").with_hint("free some \rroom"));
  } else {
    told.facts = {"level application"};
  }
  return told;
}

Notice of(std::vector<Told> machines) {
  return {.command = "backup",
          .host = "kvm1",
          .begin = base::WallTime(std::chrono::seconds(1795318440)),
          .end = base::WallTime(std::chrono::seconds(1795318440 + 1300)),
          .status = 1,
          .machines = std::move(machines)};
}

TEST(NoticeSubject, SaysTheWorst) {
  EXPECT_EQ(subject_of(of({with("web1", 0)})), "kvm1: backup done: web1");
  EXPECT_EQ(subject_of(of({with("web1", 0), with("db1", 0)})), "kvm1: backup done: 2 machines");
  EXPECT_EQ(subject_of(of({with("web1", 3), with("db1", 0)})),
            "kvm1: backup warning: web1: unable to\\x1b[2J \\x0acopy (of 2 machines)");
  EXPECT_EQ(subject_of(of({with("web1", 3), with("db1", 1)})),
            "kvm1: backup FAILED: db1: unable to\\x1b[2J \\x0acopy (of 2 machines)");
  std::vector<Told> many;
  for (int i = 0; i < 7; ++i)
    many.push_back(with("vm" + std::to_string(i), 1));
  EXPECT_EQ(subject_of(of(many)),
            "kvm1: backup FAILED: vm0, vm1, vm2, vm3, vm4 and 2 more (of 7 machines)");
  Told again = with("web1", 0);
  again.recovered = true;
  EXPECT_EQ(subject_of(of({again})), "kvm1: backup well again: web1");
}

TEST(NoticeSubject, NamesTheGroupAndWhoItFailedOf) {
  std::vector<Told> group{with("db1", 0), with("web1", 0)};
  for (Told& told : group)
    told.group = "shop";
  EXPECT_EQ(subject_of(of(group)), "kvm1: backup of group shop done: 2 machines");
  group[0].status = group[1].status = 1;
  group[0].by_another = true;
  group[1].problems = {Error(ErrorCode::kIo, "no freeze")};
  EXPECT_EQ(subject_of(of(group)),
            "kvm1: backup of group shop FAILED: web1: no freeze (of 2 machines)");
  EXPECT_EQ(names_of(of(group), kFailed), "db1 web1");
  EXPECT_EQ(json_of(of(group)).at("machines").at(0).at("group"), "shop");
  group.push_back(with("mail1", 0));
  EXPECT_EQ(subject_of(of(group)), "kvm1: backup FAILED: web1: no freeze (of 3 machines)");
}

TEST(NoticeText, HasTheFailedOnesFirstAndNothingUnescaped) {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  Told failed = with("web1\nBcc: eve@example.org", 1);
  failed.last_good = "2026-11-20T01:31:00.000Z";
  EXPECT_EQ(text_of(of({with("db1", 0), failed})),
            "'holdfast backup' on kvm1: 1 of 2 machines FAILED.\n"
            "Sun 22 Nov 2026 03:34 to 03:55 +0000 (21 min)\n"
            "\n"
            "FAILED: web1\\x0aBcc: eve@example.org\n"
            "    unable to\\x1b[2J \\x0acopy\n"
            "    What to do: free some \\x0droom\n"
            "    The last good one ended at 2026-11-20T01:31:00.000Z.\n"
            "\n"
            "DONE: db1\n"
            "    level application\n"
            "\n"
            "More: holdfast list, holdfast show VM, holdfast doctor VM. Who gets this,\n"
            "and when: notify-mail and notify-on, holdfast-host.conf(5).\n");
}

// Keeps what it was asked to run, and ends as it is told to.
class Recorder final : public base::ProcessRunner {
 public:
  ProcessOutcome run(const ProcessSpec& spec) override {
    specs.push_back(spec);
    return outcome;
  }
  std::vector<ProcessSpec> specs;
  ProcessOutcome outcome = exited();

 private:
  static ProcessOutcome exited() {
    ProcessOutcome good;
    good.ending = ProcessOutcome::Ending::kExited;
    return good;
  }
};

class NotifierTest : public testing::Test {
 protected:
  std::vector<Error> tell(std::vector<Told> machines) {
    Notifier notifier(settings_, Memory(directory_.path() + "/state"), recorder_, {});
    return notifier.tell(of(std::move(machines)));
  }
  // How many mails so far, after one more run.
  std::size_t after(int status) {
    EXPECT_TRUE(tell({with("web1", status)}).empty());
    return recorder_.specs.size();
  }

  support::TemporaryDirectory directory_;
  Recorder recorder_;
  config::NotifySettings settings_{.mail = {"root"},
                                   .command = {},
                                   .on = "failure",
                                   .from = "",
                                   .sendmail = "/usr/sbin/sendmail",
                                   .timeout = base::Millis{1000}};
};

TEST_F(NotifierTest, TellsEachFailureAndTheFirstSuccessAfterThem) {
  EXPECT_EQ(after(0), 0U);
  EXPECT_EQ(after(3), 0U);
  EXPECT_EQ(after(1), 1U);
  EXPECT_EQ(after(1), 2U);
  EXPECT_EQ(after(0), 3U);
  EXPECT_NE(recorder_.specs.back().input->find("Subject: kvm1: backup well again: web1\n"),
            std::string::npos);
  EXPECT_EQ(after(0), 3U);
}

TEST_F(NotifierTest, TellsChangesAlone) {
  settings_.on = "change";
  EXPECT_EQ(after(0), 0U);
  EXPECT_EQ(after(1), 1U);
  EXPECT_EQ(after(1), 1U);
  EXPECT_EQ(after(3), 2U);
  EXPECT_EQ(after(0), 3U);
}

TEST_F(NotifierTest, SaysWhenItLastWentWell) {
  (void)after(0);
  (void)after(1);
  EXPECT_NE(recorder_.specs.back().input->find("The last good one ended at "), std::string::npos);
}

TEST_F(NotifierTest, RunsSendmailAsItIsRunEverywhere) {
  (void)after(1);
  EXPECT_EQ(recorder_.specs.back().argv,
            (std::vector<std::string>{"/usr/sbin/sendmail", "-t", "-oi", "-i"}));
  settings_.from = "backup@example.org";
  (void)after(1);
  EXPECT_EQ(recorder_.specs.back().argv,
            (std::vector<std::string>{"/usr/sbin/sendmail", "-t", "-oi", "-i", "-f",
                                      "backup@example.org"}));
  EXPECT_EQ(recorder_.specs.back().input->substr(0, 36), "From: Holdfast <backup@example.org>\n");
}

TEST_F(NotifierTest, SaysThatItFailedAndTellsItAgain) {
  settings_.on = "change";
  recorder_.outcome.status = 75;
  const auto problems = tell({with("web1", 1)});
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems[0].text(),
            "unable to send the mail: unable to run '/usr/sbin/sendmail': exited with status 75");
  recorder_.outcome.status = 0;
  EXPECT_EQ(after(1), 2U);
  EXPECT_EQ(after(1), 2U);
}

TEST_F(NotifierTest, TellsEvenWhereNothingCanBeRemembered) {
  ASSERT_TRUE(base::write_file(directory_.path() + "/state", "", 0600, base::Durable::kNo));
  const auto problems = tell({with("web1", 1), with("db1", 1)});
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_TRUE(problems[0].text().starts_with("unable to remember what was told, continuing: "));
  EXPECT_EQ(recorder_.specs.size(), 1U);
}

TEST_F(NotifierTest, KeepsNoFileOfANameThatIsNone) {
  EXPECT_TRUE(tell({with("../../evil", 1), with("", 1)}).empty());
  EXPECT_EQ(recorder_.specs.size(), 1U);
}

TEST_F(NotifierTest, GivesTheCommandJsonAndFacts) {
  settings_.mail = {};
  settings_.command = {"/bin/tell", "me"};
  EXPECT_TRUE(tell({with("web1", 1), with("db1", 0), with("mail1", 3)}).empty());
  const ProcessSpec& spec = recorder_.specs.at(0);
  EXPECT_EQ(spec.argv, (std::vector<std::string>{"/bin/tell", "me"}));
  const auto json = base::Json::parse(*spec.input);
  EXPECT_EQ(json["machines"].size(), 3U);
  EXPECT_EQ(json["machines"][0]["outcome"], "failed");
  EXPECT_EQ(json["machines"][0]["problems"][0]["code"], "io");
  const auto has = [&](const std::string& entry) {
    return std::find(spec.environment->begin(), spec.environment->end(), entry) !=
           spec.environment->end();
  };
  EXPECT_TRUE(has("HOLDFAST_FAILED=web1"));
  EXPECT_TRUE(has("HOLDFAST_WARNED=mail1"));
  EXPECT_TRUE(has("HOLDFAST_GOOD=db1"));
  EXPECT_TRUE(has("HOLDFAST_RESULT=failed"));
  EXPECT_TRUE(has("HOLDFAST_COMMAND=backup"));
}

}  // namespace
}  // namespace holdfast::host::notify
