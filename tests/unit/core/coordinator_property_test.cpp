// SPDX-License-Identifier: MIT
//
// Random schedules: the coordinator, with its threads, files and fakes, against FreezeModel.
//
//   HOLDFAST_SEED       begins there instead of at random; a failure prints the one it needs
//   HOLDFAST_SCHEDULES  how many, instead of as many as go into a few seconds
//
// A schedule that breaks something is made as short as it can be before it is printed.
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>

#include "coordinator_fixture.h"
#include "freeze_model.h"
#include "freeze_schedule.h"

namespace holdfast::core {
namespace {

using namespace std::chrono_literals;
using support::FakeCall;
using support::FakeEnding;
using Names = std::set<std::string>;
// What does not hold; nothing if all does.
using Complaint = std::optional<std::string>;

std::string joined(const Names& names) {
  std::string text;
  for (const std::string& name : names)
    text += (text.empty() ? "" : " ") + name;
  return "{" + text + "}";
}

// One run of a schedule, on a stage of its own.
class Run {
 public:
  Run(const Schedule& schedule, base::Millis freeze_timeout, base::Millis thaw_timeout,
      base::Millis grace, bool hanging)
      : schedule_(schedule),
        stage_(CoordinatorStage::Times{freeze_timeout, thaw_timeout, grace}),
        hanging_(hanging) {
    for (const Schedule::Resource& resource : schedule.resources) {
      auto& server = stage_.add(resource.name, resource.required, resource.order);
      if (!resource.stalls) server.stall_nobody();
      model_.parts.push_back(
          {"fake:" + resource.name, resource.required, resource.order, resource.stalls});
    }
    // Nothing is probed again by itself meanwhile: what is due is due in an hour.
    stage_.clock_.advance(1h);
    (void)stage_.coordinator();
  }

  Complaint play() {
    for (const Occurrence& event : schedule_.events) {
      stage_.calls_.clear();
      was_held_ = hanging_ ? locked() : model_.locked();
      Complaint complaint = happen(event);
      if (stage_.coordinator().must_end()) {
        if (!hanging_) return "nothing hangs, and the process is to end";
        // Its end is the end of its sessions; what is locked until then is nobody's mistake.
        for (const auto& server : stage_.servers_)
          server->unstick();
        return std::nullopt;
      }
      if (!complaint) complaint = judge(event.what);
      if (complaint) return "after '" + text_of(event, schedule_) + "': " + *complaint;
    }
    return std::nullopt;
  }

 private:
  static std::string code_of(const base::Result<void>& result) {
    return result ? "ok" : std::string(base::name_of(result.error().code()));
  }
  [[nodiscard]] Names locked() const {
    const auto names = stage_.locked();
    return {names.begin(), names.end()};
  }

  Complaint freeze(bool given_up) {
    std::stop_source stop;
    if (given_up) (void)stop.request_stop();
    const Names allowed = model_.freeze(given_up);
    const std::string code = code_of(stage_.coordinator().freeze(stop.get_token()));
    held_ = code == "ok";
    promised_ = promised_ || held_;
    if (hanging_) return std::nullopt;
    if (!allowed.contains(code)) return code + " instead of one of " + joined(allowed);
    model_.freeze_answered(code);
    return std::nullopt;
  }

  Complaint thaw() {
    const std::string expected = model_.thaw();
    const std::string code = code_of(stage_.thaw());
    if (hanging_ && code == "ok" && promised_ && !held_) return "0 for a window that was not held";
    held_ = promised_ = false;
    if (hanging_) return std::nullopt;
    if (code != expected) return code + " instead of " + expected;
    return std::nullopt;
  }

  Complaint check() {
    const std::string expected = model_.check();
    const std::string code = code_of(stage_.coordinator().check({}));
    if (!hanging_ && code != expected) return code + " instead of " + expected;
    return std::nullopt;
  }

  // A session that ends while it is idle is found out by the next probe.
  Complaint lose(std::size_t index) {
    stage_.servers_[index]->close_session();
    if (stage_.coordinator().state() != State::kHeld) return check();
    FreezeModel::Part& part = model_.parts[index];
    part.lost = part.held;
    return std::nullopt;
  }

  void end_window() { held_ = false; }

  Complaint happen(const Occurrence& event) {
    const auto& server = stage_.servers_[event.resource];
    FreezeModel::Part& part = model_.parts[event.resource];
    const std::string record = stage_.directory_.file("state/freeze.json");
    switch (event.what) {
      case Happening::kFreeze:
        return freeze(false);
      case Happening::kFreezeGivenUp:
        return freeze(true);
      case Happening::kThaw:
        return thaw();
      case Happening::kThawSeen:
        model_.thaw_seen();
        stage_.coordinator().thaw_seen();
        // Its verdict waits for its thaw, and a freeze that fails before does not take it back.
        if (held_) held_ = promised_ = false;
        break;
      case Happening::kTimePasses:
        stage_.clock_.advance(CoordinatorStage::kMaxHold);
        end_window();
        model_.expire();
        stage_.coordinator().expire();
        break;
      case Happening::kTimerTooEarly:
        stage_.clock_.advance(1ms);
        stage_.coordinator().expire();
        break;
      case Happening::kAbandon:
        end_window();
        model_.abandon();
        stage_.coordinator().abandon();
        break;
      case Happening::kStop:
        end_window();
        model_.stop();
        stage_.coordinator().stop();
        break;
      case Happening::kCrash:
        if (hanging_) break;
        end_window();
        model_.crash();
        stage_.crash();
        (void)stage_.coordinator();
        break;
      case Happening::kCheck:
        return check();
      case Happening::kLoseSession:
        return lose(event.resource);
      case Happening::kMovePosition:
        server->move_position();
        part.moved = part.held;
        break;
      case Happening::kNotice:
        if (stage_.coordinator().state() == State::kHeld) server->speak();
        break;
      case Happening::kScript:
        server->script(event.call, event.ending);
        part.script[event.call] = event.ending;
        break;
      case Happening::kBreakFilesystem:
        stage_.filesystems_.fail(event.filesystem_call);
        model_.failing.insert(event.filesystem_call);
        break;
      case Happening::kMendFilesystems:
        stage_.filesystems_.mend();
        model_.failing.clear();
        break;
      case Happening::kBreakRecord:
        // Nothing can be renamed over a directory that is not empty.
        std::filesystem::remove_all(record);
        std::filesystem::create_directories(record + "/x");
        model_.record_fails = true;
        break;
      case Happening::kMendRecord:
        std::filesystem::remove_all(record);
        model_.record_fails = false;
        break;
    }
    return std::nullopt;
  }

  // What has to hold after every event, whatever it was.
  Complaint judge(Happening what) {
    const State state = stage_.coordinator().state();
    const bool open = state == State::kHeld;
    if (is_open(state) && !open) return "still '" + std::string(name_of(state)) + "'";
    if (stage_.dead_man_.armed().has_value() != open)
      return "the dead-man is not armed as it should";
    if (stage_.thaw_watch_.watching() != open) return "the thaw is not watched for as it should";
    if (!open && !locked().empty()) return "locked without a window: " + joined(locked());
    const bool freezes = what == Happening::kFreeze || what == Happening::kFreezeGivenUp;
    for (const FreezeModel::Part& part : model_.parts) {
      if (!freezes && stage_.calls_.count(part.name + " hold") > 0) return "held without a freeze";
      if (stage_.calls_.count(part.name + " hold") > 1) return "held twice";
      if (stage_.calls_.count(part.name + " release") > 1) return "released twice";
    }
    if (auto disorder = disorder_of_release()) return disorder;
    if (hanging_) return std::nullopt;
    if (open != model_.is_open()) return open ? "a window too many" : "the window has gone";
    if (locked() != model_.locked()) {
      return "locked: " + joined(locked()) + " instead of " + joined(model_.locked());
    }
    if (stage_.marker_exists() != (open || model_.owes())) return "the marker is wrong";
    if (open) return std::nullopt;
    for (const FreezeModel::Part& part : model_.parts) {
      if (was_held_.contains(part.name) && what != Happening::kCrash &&
          stage_.calls_.count(part.name + " release") != 1) {
        return "'" + part.name + "' was not released once";
      }
    }
    return std::nullopt;
  }

  Complaint disorder_of_release() const {
    for (const FreezeModel::Part& last : model_.parts) {
      for (const FreezeModel::Part& first : model_.parts) {
        const auto first_at = stage_.calls_.position(first.name + " release");
        const auto last_at = stage_.calls_.position(last.name + " release");
        const auto none = stage_.calls_.calls().size();
        if (first.order > last.order && first_at != none && last_at < first_at) {
          return "'" + last.name + "' released before '" + first.name + "'";
        }
      }
    }
    return std::nullopt;
  }

  const Schedule& schedule_;
  CoordinatorStage stage_;
  const bool hanging_;
  FreezeModel model_;
  Names was_held_;
  // Of a hanging run, of which the model cannot say when it is given up.
  bool held_ = false;
  bool promised_ = false;
};

struct Limits {
  base::Millis freeze_timeout;
  base::Millis thaw_timeout;
  base::Millis grace;
  bool hanging;
};

Complaint play(const Schedule& schedule, const Limits& limits) {
  return Run(schedule, limits.freeze_timeout, limits.thaw_timeout, limits.grace, limits.hanging)
      .play();
}

// Leaves out what can be left out, and still it breaks.
Schedule shortened(Schedule schedule, const Limits& limits) {
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t i = schedule.events.size(); i-- > 0;) {
      Schedule shorter = schedule;
      shorter.events.erase(shorter.events.begin() + static_cast<std::ptrdiff_t>(i));
      if (!play(shorter, limits)) continue;
      schedule = std::move(shorter);
      changed = true;
    }
  }
  return schedule;
}

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

void play_many(std::size_t most, base::Millis span, const Limits& limits) {
  const std::uint64_t first = number_from("HOLDFAST_SEED", std::random_device{}());
  const bool counted = std::getenv("HOLDFAST_SCHEDULES") != nullptr;
  if (counted) most = number_from("HOLDFAST_SCHEDULES", most);
  const auto end = std::chrono::steady_clock::now() + span;
  std::size_t count = 0;
  for (; count < most && (counted || std::chrono::steady_clock::now() < end); ++count) {
    std::mt19937_64 random(first + count);
    const Schedule schedule = make_schedule(random, limits.hanging);
    const Complaint complaint = play(schedule, limits);
    if (!complaint) continue;
    const Schedule shorter = shortened(schedule, limits);
    FAIL() << *complaint << "\nHOLDFAST_SEED=" << first + count << " breaks; in short:\n"
           << text_of(shorter) << play(shorter, limits).value_or("(not every time)");
  }
  std::cout << count << " schedules from seed " << first << "\n";
  EXPECT_GT(count, 0U);
}

// Nothing hangs, so nothing is given up, and every answer can be foretold.
TEST(CoordinatorProperty, AnswersAsTheModelDoesWhateverHappens) {
  play_many(4000, 8s, {60s, 60s, 20s, false});
}

// When a call is given up depends on the machine; what must not happen then does not.
TEST(CoordinatorProperty, LeavesNothingLockedNorAnswersZeroForNothingWhateverHangs) {
  play_many(1000, 4s, {300ms, 300ms, 50ms, true});
}

}  // namespace
}  // namespace holdfast::core
