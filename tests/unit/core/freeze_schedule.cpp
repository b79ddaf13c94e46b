// SPDX-License-Identifier: MIT
#include "freeze_schedule.h"

#include <array>

namespace holdfast::core {

namespace {

using support::FakeCall;
using support::FakeEnding;

std::size_t below(std::mt19937_64& random, std::size_t limit) {
  return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random);
}

template <typename T, std::size_t size>
T one_of(std::mt19937_64& random, const std::array<T, size>& choices) {
  return choices.at(below(random, size));
}

Happening happening(std::mt19937_64& random) {
  // Most of the time what hosts do, so that windows are often open when the rest happens.
  switch (below(random, 10)) {
    case 0:
    case 1:
    case 2:
      return Happening::kFreeze;
    case 3:
    case 4:
      return Happening::kThaw;
    case 5:
      return Happening::kScript;
    default:
      return static_cast<Happening>(below(random, kHappeningCount));
  }
}

FakeEnding ending(std::mt19937_64& random, FakeCall call, bool hanging) {
  constexpr std::array kAny{FakeEnding::kFail, FakeEnding::kMisconfigure, FakeEnding::kThrow,
                            FakeEnding::kThrowOther};
  constexpr std::array kHangs{FakeEnding::kHang, FakeEnding::kHangHard, FakeEnding::kStuck};
  if (below(random, 3) == 0) return FakeEnding::kSucceed;
  if (hanging && below(random, 2) == 0) return one_of(random, kHangs);
  if (call == FakeCall::kHold && below(random, 4) == 0) return FakeEnding::kNothing;
  const bool may_lose = call == FakeCall::kPrepare || call == FakeCall::kHold ||
                        call == FakeCall::kCheck || call == FakeCall::kRelease;
  if (may_lose && below(random, 4) == 0) return FakeEnding::kLose;
  return one_of(random, kAny);
}

std::string name_of(Happening what) {
  switch (what) {
    case Happening::kFreeze:
      return "freeze";
    case Happening::kFreezeGivenUp:
      return "freeze that nobody waits for";
    case Happening::kThaw:
      return "thaw";
    case Happening::kThawSeen:
      return "thaw seen";
    case Happening::kTimePasses:
      return "max-hold passes";
    case Happening::kTimerTooEarly:
      return "dead-man's call too early";
    case Happening::kAbandon:
      return "abandon";
    case Happening::kStop:
      return "stop";
    case Happening::kCrash:
      return "crash";
    case Happening::kCheck:
      return "check";
    case Happening::kLoseSession:
      return "session lost";
    case Happening::kMovePosition:
      return "position moved";
    case Happening::kNotice:
      return "notice";
    case Happening::kScript:
      return "script";
    case Happening::kBreakFilesystem:
      return "filesystems fail to";
    case Happening::kMendFilesystems:
      return "filesystems mended";
    case Happening::kBreakRecord:
      return "record cannot be written";
    case Happening::kMendRecord:
      return "record can be written";
  }
  return "unknown";
}

std::string name_of(FakeCall call) {
  constexpr std::array kNames{"probe", "prepare", "hold", "check", "extend", "release", "rollback"};
  return kNames.at(static_cast<std::size_t>(call));
}

std::string name_of(FakeEnding ending) {
  constexpr std::array kNames{
      "succeeds", "fails", "is misconfigured", "throws", "throws 42", "hangs", "hangs hard",
      "is stuck", "loses", "holds nothing",    "lies"};
  return kNames.at(static_cast<std::size_t>(ending));
}

}  // namespace

Schedule make_schedule(std::mt19937_64& random, bool hanging) {
  Schedule schedule;
  const bool ordered = below(random, 3) == 0;
  for (std::size_t i = 1 + below(random, 3); i > 0; --i) {
    schedule.resources.push_back({"r" + std::to_string(i), below(random, 4) != 0,
                                  ordered ? static_cast<std::int64_t>(below(random, 3)) : 0,
                                  below(random, 3) != 0});
  }
  constexpr std::array kCalls{FakeCall::kProbe,   FakeCall::kPrepare, FakeCall::kHold,
                              FakeCall::kCheck,   FakeCall::kExtend,  FakeCall::kRelease,
                              FakeCall::kRollback};
  const std::array<std::string, 5> filesystem_calls{"arm", "extend", "sync", "thaw", "disarm"};
  for (std::size_t i = 4 + below(random, hanging ? 6 : 20); i > 0; --i) {
    Occurrence event;
    event.what = happening(random);
    event.resource = below(random, schedule.resources.size());
    event.call = one_of(random, kCalls);
    event.ending = ending(random, event.call, hanging);
    event.filesystem_call = one_of(random, filesystem_calls);
    schedule.events.push_back(std::move(event));
  }
  return schedule;
}

std::string text_of(const Occurrence& event, const Schedule& schedule) {
  const std::string& resource = schedule.resources.at(event.resource).name;
  std::string text = name_of(event.what);
  switch (event.what) {
    case Happening::kLoseSession:
    case Happening::kMovePosition:
    case Happening::kNotice:
      return text + " " + resource;
    case Happening::kScript:
      return text + " " + resource + ": " + name_of(event.call) + " " + name_of(event.ending);
    case Happening::kBreakFilesystem:
      return text + " " + event.filesystem_call;
    default:
      return text;
  }
}

std::string text_of(const Schedule& schedule) {
  std::string text;
  for (const Schedule::Resource& resource : schedule.resources) {
    text += "resource " + resource.name + (resource.required ? "" : ", not required") + ", order " +
            std::to_string(resource.order) + (resource.stalls ? "" : ", stalls nobody") + "\n";
  }
  for (const Occurrence& event : schedule.events)
    text += text_of(event, schedule) + "\n";
  return text;
}

}  // namespace holdfast::core
