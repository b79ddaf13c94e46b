// SPDX-License-Identifier: MIT
#include "repository/retention.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>
#include <string_view>

namespace holdfast::host::repository {

namespace {

// An id begins with "20261120T182114Z".
constexpr std::size_t kYear = 4;
constexpr std::size_t kMonth = 6;
constexpr std::size_t kDay = 8;
constexpr std::size_t kHour = 11;

template <std::size_t kLength>
std::string prefix_of(const std::string& id) {
  return id.substr(0, kLength);
}

std::string whole_id(const std::string& id) {
  return id;
}

int number_in(std::string_view digits) {
  int number = 0;
  (void)std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

std::string week_of(const std::string& id) {
  namespace chrono = std::chrono;
  const std::string_view text = id;
  const chrono::year_month_day date{
      chrono::year(number_in(text.substr(0, 4))),
      chrono::month(static_cast<unsigned>(number_in(text.substr(4, 2)))),
      chrono::day(static_cast<unsigned>(number_in(text.substr(6, 2))))};
  if (!date.ok()) return prefix_of<kDay>(id);
  // Day 0 of the epoch was a Thursday.
  const auto monday = chrono::floor<chrono::weeks>(chrono::sys_days(date) + chrono::days(3));
  return std::to_string(monday.time_since_epoch().count());
}

struct Rule {
  std::string_view name;
  std::int64_t Rules::*count;
  std::string (*bucket)(const std::string& id);
};

constexpr Rule kRules[] = {{"last", &Rules::last, whole_id},
                           {"hourly", &Rules::hourly, prefix_of<kHour>},
                           {"daily", &Rules::daily, prefix_of<kDay>},
                           {"weekly", &Rules::weekly, week_of},
                           {"monthly", &Rules::monthly, prefix_of<kMonth>},
                           {"yearly", &Rules::yearly, prefix_of<kYear>}};

// The newest of each bucket, newest bucket first, until there are enough.
void apply(const Rule& rule, std::int64_t count, const std::vector<Decision*>& newest_first) {
  std::string bucket;
  for (Decision* decision : newest_first) {
    if (count == 0) return;
    std::string own = rule.bucket(decision->id);
    if (own == bucket) continue;
    bucket = std::move(own);
    decision->reasons.emplace_back(rule.name);
    --count;
  }
}

}  // namespace

std::vector<Decision> decide(const std::vector<Candidate>& candidates,
                             const std::vector<std::string>& unusable, const Rules& rules) {
  std::vector<Decision> decisions;
  decisions.reserve(candidates.size());
  std::map<std::string_view, std::size_t> places;
  std::vector<Decision*> newest_first;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& candidate = candidates[i];
    decisions.push_back({candidate.id, {}, false});
    const auto parent = places.find(candidate.parent);
    const bool broken =
        !candidate.parent.empty() && (parent == places.end() || decisions[parent->second].broken);
    places.emplace(candidate.id, i);
    if (broken) {
      decisions[i].broken = true;
      decisions[i].reasons.emplace_back("its chain is broken");
    } else {
      newest_first.push_back(&decisions[i]);
    }
  }
  std::reverse(newest_first.begin(), newest_first.end());
  if (!newest_first.empty()) newest_first.front()->reasons.emplace_back("newest");
  for (const Rule& rule : kRules)
    apply(rule, rules.*rule.count, newest_first);

  const auto last_unusable = std::max_element(unusable.begin(), unusable.end());
  for (std::size_t i = candidates.size(); i-- > 0;) {
    Decision& decision = decisions[i];
    if (candidates[i].is_protected) decision.reasons.emplace_back("protected");
    if (candidates[i].group_stays) decision.reasons.emplace_back("its group");
    if (candidates[i].is_used) decision.reasons.emplace_back("in use");
    if (last_unusable != unusable.end() && decision.id < *last_unusable) {
      decision.reasons.push_back(*last_unusable + " may stand on it");
    }
    // Newest first: whether this one stays is settled once all that stand on it have been here.
    const auto parent = places.find(candidates[i].parent);
    if (decision.keep() && parent != places.end()) {
      decisions[parent->second].reasons.push_back(decision.id + " stands on it");
    }
  }
  return decisions;
}

}  // namespace holdfast::host::repository
