// SPDX-License-Identifier: MIT
#include "notify/notice.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <iomanip>
#include <iterator>
#include <sstream>

#include "base/duration.h"
#include "base/text.h"
#include "notify/encoding.h"

namespace holdfast::host::notify {

using base::Json;

namespace {

constexpr std::size_t kIndent = 4;
constexpr std::size_t kLongestName = 64;
constexpr std::size_t kLongestText = 2000;
// Of a subject: what fits is read, the text says the rest.
constexpr std::size_t kLongestReason = 100;
constexpr std::size_t kMostNames = 5;

using Those = std::vector<const Told*>;

Those those_with(const Notice& notice, Outcome outcome) {
  Those found;
  for (const Told& told : notice.machines) {
    if (outcome_of(told.status) == outcome) found.push_back(&told);
  }
  return found;
}

// A subject has no room for those that failed for another one's sake.
Those at_fault(const Those& those) {
  Those found;
  std::copy_if(those.begin(), those.end(), std::back_inserter(found),
               [](const Told* told) { return !told->by_another; });
  return found.empty() ? those : found;
}

// Of all of them; empty: they have none in common.
std::string group_of(const Notice& notice) {
  if (notice.machines.empty()) return {};
  const std::string& group = notice.machines.front().group;
  const bool common = std::all_of(notice.machines.begin(), notice.machines.end(),
                                  [&](const Told& told) { return told.group == group; });
  return common ? group : std::string();
}

std::string name_of_machine(const Told& told) {
  return told.vm.empty() ? "(no machine)" : base::printable(told.vm, kLongestName);
}

std::string machines(std::size_t count) {
  return std::to_string(count) + (count == 1 ? " machine" : " machines");
}

std::string some_of(const Those& those) {
  std::string text;
  for (std::size_t i = 0; i < std::min(those.size(), kMostNames); ++i)
    text += (i == 0 ? "" : ", ") + name_of_machine(*those[i]);
  if (those.size() > kMostNames) {
    text += " and " + std::to_string(those.size() - kMostNames) + " more";
  }
  return text;
}

// In ASCII, so that most subjects need no encoding.
std::string shortened(std::string text) {
  if (text.size() <= kLongestReason) return text;
  std::size_t end = kLongestReason;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U)
    --end;
  text.resize(end);
  return text + "...";
}

// The names, and of a single one the reason.
std::string those_and_why(const Those& those) {
  std::string text = some_of(those);
  if (those.size() == 1 && !those.front()->problems.empty()) {
    text += ": " + shortened(base::printable(those.front()->problems.front().text()));
  }
  return text;
}

// "Sun 22 Nov 2026 01:30 to 01:52 +0100"
std::string when(const Notice& notice) {
  const auto local_time = [](base::WallTime time) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
    std::tm local{};
    ::localtime_r(&seconds, &local);
    return local;
  };
  const std::tm begin = local_time(notice.begin);
  const std::tm end = local_time(notice.end);
  std::ostringstream text;
  text << std::put_time(&begin, "%a %d %b %Y %H:%M") << " to " << std::put_time(&end, "%H:%M %z");
  return text.str();
}

std::string span_of(const Notice& notice) {
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(notice.end - notice.begin).count();
  if (seconds < 120) return std::to_string(seconds) + " s";
  if (seconds < 7200) return std::to_string(seconds / 60) + " min";
  return std::to_string(seconds / 3600) + " h " + std::to_string(seconds / 60 % 60) + " min";
}

std::string first_line(const Notice& notice) {
  const std::size_t all = notice.machines.size();
  const std::size_t failed = those_with(notice, Outcome::kFailed).size();
  const std::size_t warned = those_with(notice, Outcome::kWarning).size();
  std::string text = "'holdfast " + notice.command + "' on " + base::printable(notice.host) + ": ";
  const std::string of_all = " of " + machines(all);
  if (all == 1) {
    static constexpr std::array<const char*, 3> kEndings{", all well.", ", with a warning.",
                                                         " FAILED."};
    const Told& one = notice.machines.front();
    return text + name_of_machine(one) +
           kEndings.at(static_cast<std::size_t>(outcome_of(one.status)));
  }
  if (failed > 0) {
    text += std::to_string(failed) + of_all + " FAILED";
    return text + (warned > 0 ? ", " + std::to_string(warned) + " with a warning." : ".");
  }
  if (warned > 0) return text + std::to_string(warned) + of_all + " with a warning.";
  return text + machines(all) + ", all well.";
}

std::string about(const Told& told) {
  static constexpr std::array<const char*, 3> kWords{"DONE", "WARNING", "FAILED"};
  const Outcome outcome = outcome_of(told.status);
  std::string text = std::string(kWords.at(static_cast<std::size_t>(outcome))) + ": " +
                     name_of_machine(told) +
                     (told.recovered ? " (the first time since it was told of)" : "") + "\n";
  for (const base::Error& problem : told.problems) {
    text += wrapped(base::printable(problem.text(), kLongestText), kIndent);
    if (problem.hint().empty()) continue;
    text += wrapped("What to do: " + base::printable(problem.hint(), kLongestText), kIndent);
  }
  for (const std::string& fact : told.facts)
    text += wrapped(base::printable(fact, kLongestText), kIndent);
  if (outcome != Outcome::kGood && !told.last_good.empty()) {
    text += wrapped("The last good one ended at " + told.last_good + ".", kIndent);
  }
  return text;
}

Json json_of(const Told& told) {
  Json problems = Json::array();
  for (const base::Error& problem : told.problems) {
    problems.push_back({{"code", name_of(problem.code())},
                        {"error", problem.text()},
                        {"hint", problem.hint().empty() ? Json() : Json(problem.hint())}});
  }
  return {{"vm", told.vm.empty() ? Json() : Json(told.vm)},
          {"group", told.group.empty() ? Json() : Json(told.group)},
          {"status", told.status},
          {"outcome", name_of(outcome_of(told.status))},
          {"recovered", told.recovered},
          {"last_good", told.last_good.empty() ? Json() : Json(told.last_good)},
          {"problems", std::move(problems)},
          {"facts", told.facts},
          {"detail", told.detail}};
}

}  // namespace

std::string_view name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::kGood:
      return "good";
    case Outcome::kWarning:
      return "warning";
    case Outcome::kFailed:
      return "failed";
  }
  return "";  // uncovered: every value has its case
}

Outcome outcome_named(std::string_view name) {
  for (const Outcome outcome : {Outcome::kWarning, Outcome::kFailed}) {
    if (name == name_of(outcome)) return outcome;
  }
  return Outcome::kGood;
}

Outcome outcome_of(int status) {
  if (status == 0) return Outcome::kGood;
  const bool less = status == base::host_exit_status(base::ErrorCode::kBelowPreferred) ||
                    status == base::host_exit_status(base::ErrorCode::kLocked);
  return less ? Outcome::kWarning : Outcome::kFailed;
}

std::string subject_of(const Notice& notice) {
  const std::string group = group_of(notice);
  const std::string start =
      base::printable(notice.host) + ": " + notice.command +
      (group.empty() ? "" : " of group " + base::printable(group, kLongestName)) + " ";
  const Those failed = at_fault(those_with(notice, Outcome::kFailed));
  const std::string rest =
      notice.machines.size() > 1 ? " (of " + machines(notice.machines.size()) + ")" : "";
  if (!failed.empty()) return start + "FAILED: " + those_and_why(failed) + rest;
  const Those warned = at_fault(those_with(notice, Outcome::kWarning));
  if (!warned.empty()) return start + "warning: " + those_and_why(warned) + rest;
  Those again;
  for (const Told& told : notice.machines) {
    if (told.recovered) again.push_back(&told);
  }
  if (!again.empty()) return start + "well again: " + some_of(again) + rest;
  if (notice.machines.size() == 1) return start + "done: " + some_of({&notice.machines.front()});
  return start + "done: " + machines(notice.machines.size());
}

std::string text_of(const Notice& notice) {
  std::string text = wrapped(first_line(notice), 0);
  text += when(notice) + " (" + span_of(notice) + ")\n";
  for (const Outcome outcome : {Outcome::kFailed, Outcome::kWarning, Outcome::kGood}) {
    for (const Told* told : those_with(notice, outcome))
      text += "\n" + about(*told);
  }
  text += "\n" + wrapped(
                     "More: holdfast list, holdfast show VM, holdfast doctor VM. Who gets this, "
                     "and when: notify-mail and notify-on, holdfast-host.conf(5).",
                     0);
  return text;
}

Json json_of(const Notice& notice) {
  Json all = Json::array();
  for (const Told& told : notice.machines)
    all.push_back(json_of(told));
  return {{"schema", 1},
          {"command", notice.command},
          {"host", notice.host},
          {"begin", base::format_time(notice.begin)},
          {"end", base::format_time(notice.end)},
          {"status", notice.status},
          {"outcome", name_of(outcome_of(notice.status))},
          {"subject", subject_of(notice)},
          {"text", text_of(notice)},
          {"machines", std::move(all)}};
}

std::string names_of(const Notice& notice, Outcome outcome) {
  std::string text;
  for (const Told* told : those_with(notice, outcome)) {
    if (!told->vm.empty())
      text += (text.empty() ? "" : " ") + base::printable(told->vm, kLongestName);
  }
  return text;
}

}  // namespace holdfast::host::notify
