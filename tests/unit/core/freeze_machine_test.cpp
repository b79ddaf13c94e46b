// SPDX-License-Identifier: MIT
#include "core/freeze_machine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <string>

#include "base/file.h"

namespace holdfast::core {
namespace {

std::vector<State> all_states() {
  std::vector<State> states;
  for (std::size_t i = 0; i < kStateCount; ++i)
    states.push_back(static_cast<State>(i));
  return states;
}

std::vector<Event> all_events() {
  std::vector<Event> events;
  for (std::size_t i = 0; i < kEventCount; ++i)
    events.push_back(static_cast<Event>(i));
  return events;
}

TEST(FreezeMachine, IsDrawnInItsHeaderAsItIs) {
  const char* source = std::getenv("HOLDFAST_SOURCE");
  ASSERT_NE(source, nullptr);
  const auto header =
      base::read_file(std::string(source) + "/agent/core/freeze_machine.h", 100'000);
  ASSERT_TRUE(header);
  std::string drawn;
  for (std::size_t at = 0; at < header->size();) {
    const std::size_t end = header->find('\n', at);
    const std::string line = header->substr(at, end - at);
    if (line.starts_with("//   ") && line.find(" --") != std::string::npos) {
      drawn += line.substr(5) + "\n";
    }
    at = end == std::string::npos ? header->size() : end + 1;
  }
  EXPECT_EQ(drawn, draw_machine());
}

TEST(FreezeMachine, NamesEveryStateEventAndActionDifferently) {
  std::set<std::string_view> names;
  for (const State state : all_states()) {
    EXPECT_NE(name_of(state), "unknown");
    names.insert(name_of(state));
  }
  EXPECT_EQ(names.size(), kStateCount);
  names.clear();
  for (const Event event : all_events())
    names.insert(name_of(event));
  EXPECT_EQ(names.size(), kEventCount);
  EXPECT_FALSE(names.contains("unknown"));
}

TEST(FreezeMachine, AllowsAStopInEveryState) {
  for (const State state : all_states()) {
    EXPECT_TRUE(step(state, Event::kStop)) << name_of(state);
  }
}

TEST(FreezeMachine, LeavesNoOpenStateButByLettingGo) {
  for (const State state : all_states()) {
    for (const Event event : all_events()) {
      const auto transition = step(state, event);
      if (!transition || !is_open(state) || is_open(transition->next)) continue;
      // The action before was the letting go; this one draws the conclusion.
      EXPECT_EQ(transition->action, Action::kConclude) << name_of(state) << name_of(event);
      EXPECT_TRUE(state == State::kReleasing || state == State::kAborting ||
                  state == State::kExpiring || state == State::kStopping)
          << name_of(state);
    }
  }
}

TEST(FreezeMachine, EntersEveryStateThatEndsAWindowWithTheActionThatLetsGo) {
  for (const State state : all_states()) {
    for (const Event event : all_events()) {
      const auto transition = step(state, event);
      if (!transition || transition->next == state) continue;
      switch (transition->next) {
        case State::kReleasing:
        case State::kAborting:
        case State::kStopping:
          EXPECT_EQ(transition->action, Action::kLetGo) << name_of(state) << name_of(event);
          break;
        case State::kExpiring:
          EXPECT_EQ(transition->action, Action::kExpire);
          break;
        default:
          EXPECT_NE(transition->action, Action::kLetGo) << name_of(state) << name_of(event);
      }
    }
  }
}

TEST(FreezeMachine, AbortsEveryStepOfAFreezeOnFailureDeadlineAndStop) {
  for (const State state :
       {State::kPreparing, State::kHolding, State::kRecording, State::kRenewing}) {
    for (const Event event : {Event::kFail, Event::kDeadline, Event::kStop}) {
      const auto transition = step(state, event);
      ASSERT_TRUE(transition) << name_of(state) << name_of(event);
      EXPECT_EQ(transition->next, State::kAborting);
    }
  }
}

TEST(FreezeMachine, RefusesASecondFreezeExceptWhileHeld) {
  for (const State state : all_states()) {
    const auto transition = step(state, Event::kFreeze);
    if (state == State::kHeld) {
      ASSERT_TRUE(transition);
      EXPECT_EQ(transition->next, State::kRenewing);
    } else {
      EXPECT_EQ(transition.has_value(), !is_open(state)) << name_of(state);
    }
  }
}

TEST(FreezeMachine, CannotBeStoppedFromLettingGo) {
  for (const State state : {State::kVerifying, State::kReleasing, State::kAborting,
                            State::kExpiring, State::kStopping}) {
    const auto transition = step(state, Event::kStop);
    ASSERT_TRUE(transition);
    EXPECT_EQ(transition->next, state);
    EXPECT_EQ(transition->action, Action::kNone);
    EXPECT_FALSE(step(state, Event::kFreeze));
    EXPECT_FALSE(step(state, Event::kThaw));
  }
}

TEST(FreezeMachine, RefusesWhatIsNotInItsTable) {
  std::size_t refused = 0;
  for (const State state : all_states()) {
    for (const Event event : all_events())
      refused += step(state, event) ? 0U : 1U;
  }
  const std::string drawing = draw_machine();
  const auto rows = static_cast<std::size_t>(std::count(drawing.begin(), drawing.end(), '\n'));
  EXPECT_EQ(refused, kStateCount * kEventCount - rows);
}

}  // namespace
}  // namespace holdfast::core
