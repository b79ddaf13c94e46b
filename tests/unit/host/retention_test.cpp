// SPDX-License-Identifier: MIT
#include "repository/retention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <random>
#include <set>

#include "repository/paths.h"

namespace holdfast::host::repository {
namespace {

using Ids = std::vector<std::string>;

std::string id(const std::string& day, const std::string& time = "030000") {
  return day + "T" + time + "Z-00000000";
}

std::vector<Candidate> full(const Ids& ids) {
  std::vector<Candidate> candidates;
  for (const std::string& name : ids)
    candidates.push_back({name, "", false});
  return candidates;
}

Ids kept(const std::vector<Decision>& decisions) {
  Ids ids;
  for (const Decision& decision : decisions) {
    if (decision.keep()) ids.push_back(decision.id);
  }
  return ids;
}

TEST(Retention, KeepsTheLastOnes) {
  const Ids ids{id("20261101"), id("20261102"), id("20261103")};
  EXPECT_EQ(kept(decide(full(ids), {}, {.last = 2})), (Ids{ids[1], ids[2]}));
  EXPECT_EQ(kept(decide(full(ids), {}, {.last = 9})), ids);
  EXPECT_TRUE(decide({}, {}, {.last = 1}).empty());
}

TEST(Retention, KeepsTheNewestOfEachHourDayMonthAndYear) {
  const Ids ids{id("20241231", "235959"), id("20251130"),           id("20251231", "010000"),
                id("20251231", "225900"), id("20251231", "230000"), id("20251231", "235959"),
                id("20260101", "000000")};
  EXPECT_EQ(kept(decide(full(ids), {}, {.hourly = 3})), (Ids{ids[3], ids[5], ids[6]}));
  EXPECT_EQ(kept(decide(full(ids), {}, {.daily = 3})), (Ids{ids[1], ids[5], ids[6]}));
  EXPECT_EQ(kept(decide(full(ids), {}, {.monthly = 3})), (Ids{ids[1], ids[5], ids[6]}));
  EXPECT_EQ(kept(decide(full(ids), {}, {.yearly = 3})), (Ids{ids[0], ids[5], ids[6]}));
  EXPECT_EQ(kept(decide(full(ids), {}, {.last = 1, .yearly = 2})), (Ids{ids[5], ids[6]}));
}

TEST(Retention, LetsAWeekBeginOnMondayAcrossTheYear) {
  // 28 December 2026 is a Monday, and its week ends with 3 January 2027.
  const Ids ids{id("20261227"), id("20261228"), id("20261231"), id("20270103"), id("20270104")};
  EXPECT_EQ(kept(decide(full(ids), {}, {.weekly = 3})), (Ids{ids[0], ids[3], ids[4]}));
}

TEST(Retention, SaysWhy) {
  const Ids ids{id("20261101"), id("20261102"), id("20261103")};
  std::vector<Candidate> candidates = full(ids);
  candidates[1].parent = ids[0];
  candidates[1].is_protected = true;
  const auto decisions = decide(candidates, {}, {.last = 1, .daily = 1});
  EXPECT_EQ(decisions[0].reasons, Ids{ids[1] + " stands on it"});
  EXPECT_EQ(decisions[1].reasons, Ids{"protected"});
  EXPECT_EQ(decisions[2].reasons, (Ids{"newest", "last", "daily"}));
}

TEST(Retention, LeavesWhatSomebodyReadsWithItsChain) {
  const std::vector<Candidate> candidates{
      {"20261118T000000Z-00000000", ""},
      {"20261119T000000Z-00000000", "20261118T000000Z-00000000", false, true},
      {"20261120T000000Z-00000000", ""}};
  const auto decisions = decide(candidates, {}, {.last = 1});
  EXPECT_EQ(decisions[0].reasons, Ids{"20261119T000000Z-00000000 stands on it"});
  EXPECT_EQ(decisions[1].reasons, Ids{"in use"});
}

TEST(Retention, NeverLetsWhatCannotBeRestoredTakeThePlaceOfWhatCan) {
  const Ids ids{id("20261101"), id("20261102"), id("20261103"), id("20261104")};
  std::vector<Candidate> candidates = full(ids);
  candidates[2].parent = id("20261030");
  candidates[3].parent = ids[2];
  const auto decisions = decide(candidates, {}, {.last = 1});
  EXPECT_EQ(kept(decisions), (Ids{ids[1], ids[2], ids[3]}));
  EXPECT_EQ(decisions[1].reasons, (Ids{"newest", "last"}));
  EXPECT_TRUE(decisions[2].broken);
  EXPECT_TRUE(decisions[3].broken);
}

TEST(Retention, KeepsAllThatAnUnusableBackupMayStandOn) {
  const Ids ids{id("20261101"), id("20261103"), id("20261104"), id("20261105")};
  const auto decisions = decide(full(ids), {id("20261030"), id("20261102")}, {.last = 1});
  EXPECT_EQ(kept(decisions), (Ids{ids[0], ids[3]}));
  EXPECT_EQ(decisions[0].reasons, Ids{id("20261102") + " may stand on it"});
}

TEST(Retention, TakesAnIdWithAnImpossibleDateForADayOfItsOwn) {
  const Ids ids{id("20261199"), id("20269999"), id("99999999", "999999")};
  EXPECT_EQ(kept(decide(full(ids), {}, {.weekly = 2})), (Ids{ids[1], ids[2]}));
}

// The same rules said in another way, for histories made at random.
class History {
 public:
  explicit History(unsigned seed) : random_(seed) {
    auto time = base::WallTime(std::chrono::hours(24 * 365 * 50 + number(400 * 24)));
    const int count = number(40);
    for (int i = 0; i < count; ++i) {
      time += std::chrono::minutes(1 + number(chance(3) ? 90 : 60 * 24 * 20));
      const auto made = make_backup_id(time);
      if (chance(20)) {
        unusable.push_back(*made);
        continue;
      }
      Candidate candidate{*made, "", chance(15)};
      if (!candidates.empty() && !chance(4)) {
        candidate.parent =
            candidates[static_cast<std::size_t>(number(static_cast<int>(candidates.size())))].id;
      } else if (chance(12)) {
        candidate.parent = "20000101T000000Z-00000000";  // gone
      }
      candidates.push_back(candidate);
    }
    for (auto count_of : {&Rules::last, &Rules::hourly, &Rules::daily, &Rules::weekly,
                          &Rules::monthly, &Rules::yearly}) {
      rules.*count_of = chance(2) ? number(6) : 0;
    }
  }

  std::vector<Candidate> candidates;
  Ids unusable;
  Rules rules;

  // What must stay, and nothing else may.
  [[nodiscard]] std::set<std::string> expected() const {
    std::set<std::string> stay;
    Ids good;
    for (const Candidate& candidate : candidates) {
      if (restorable(candidate)) good.push_back(candidate.id);
      if (!restorable(candidate) || candidate.is_protected) stay.insert(candidate.id);
      for (const std::string& bad : unusable) {
        if (candidate.id < bad) stay.insert(candidate.id);
      }
    }
    if (!good.empty()) stay.insert(good.back());
    keep_newest(
        good, rules.last, [](const std::string& text) { return text; }, stay);
    for (const auto& [count, length] :
         {std::pair(rules.hourly, 11), {rules.daily, 8}, {rules.monthly, 6}, {rules.yearly, 4}}) {
      keep_newest(
          good, count,
          [length = length](const std::string& text) {
            return text.substr(0, static_cast<std::size_t>(length));
          },
          stay);
    }
    keep_newest(good, rules.weekly, iso_week, stay);
    for (bool grown = true; grown;) {
      grown = false;
      for (const Candidate& candidate : candidates) {
        if (stay.contains(candidate.id) && find(candidate.parent) != nullptr) {
          grown = stay.insert(candidate.parent).second || grown;
        }
      }
    }
    return stay;
  }

 private:
  int number(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }
  bool chance(int in) { return number(in) == 0; }

  [[nodiscard]] const Candidate* find(const std::string& name) const {
    const auto found = std::find_if(candidates.begin(), candidates.end(),
                                    [&](const Candidate& one) { return one.id == name; });
    return found == candidates.end() ? nullptr : &*found;
  }
  [[nodiscard]] bool restorable(const Candidate& candidate) const {
    if (candidate.parent.empty()) return true;
    const Candidate* const parent = find(candidate.parent);
    return parent != nullptr && restorable(*parent);
  }
  static std::string iso_week(const std::string& text) {
    std::tm day{};
    EXPECT_NE(::strptime(text.substr(0, 8).c_str(), "%Y%m%d", &day), nullptr);
    char week[16];
    std::strftime(week, sizeof week, "%G-%V", &day);
    return week;
  }
  static void keep_newest(const Ids& good, std::int64_t count,
                          const std::function<std::string(const std::string&)>& bucket_of,
                          std::set<std::string>& stay) {
    std::map<std::string, std::string> newest;  // of each bucket; the last one wins
    for (const std::string& name : good)
      newest[bucket_of(name)] = name;
    Ids ids;
    for (const auto& [bucket, name] : newest)
      ids.push_back(name);
    std::sort(ids.rbegin(), ids.rend());
    for (std::size_t i = 0; i < ids.size() && i < static_cast<std::size_t>(count); ++i)
      stay.insert(ids[i]);
  }

  std::mt19937 random_;
};

TEST(Retention, KeepsWhatTheRulesSaidInAnotherWayKeepAndNothingElse) {
  std::size_t removed = 0;
  for (unsigned seed = 1; seed <= 3000; ++seed) {
    const History history(seed);
    const auto decisions = decide(history.candidates, history.unusable, history.rules);
    const Ids ids = kept(decisions);
    const std::set<std::string> stay(ids.begin(), ids.end());
    ASSERT_EQ(stay, history.expected()) << "seed " << seed;
    removed += decisions.size() - ids.size();
  }
  EXPECT_GT(removed, 3000U);  // the histories leave something to decide
}

TEST(Retention, FindsNothingMoreToRemoveTheSecondTime) {
  for (unsigned seed = 1; seed <= 1000; ++seed) {
    const History history(seed);
    const auto decisions = decide(history.candidates, history.unusable, history.rules);
    std::vector<Candidate> left;
    for (std::size_t i = 0; i < decisions.size(); ++i) {
      if (decisions[i].keep()) left.push_back(history.candidates[i]);
    }
    ASSERT_EQ(kept(decide(left, history.unusable, history.rules)).size(), left.size())
        << "seed " << seed;
  }
}

}  // namespace
}  // namespace holdfast::host::repository
