// SPDX-License-Identifier: MIT
//
// The freeze record: what happened in one window, as the host will read it (schema 1). Every window
// has one, also one that was refused. No secrets in it: it is for everybody to read.
//
// Threads: plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/hold.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json_codec.h"

namespace holdfast::core {

// One moment on both clocks.
struct Instant {
  base::WallTime wall;
  base::MonoTime monotonic;
};

[[nodiscard]] Instant now(const base::Clock& clock);

struct Verdict {
  std::string code = "ok";
  int status = 0;
  std::string text;
};

[[nodiscard]] Verdict verdict_of(const base::Error& error);

struct Phase {
  std::string name;
  base::MonoTime begin;
  std::chrono::nanoseconds duration{};
};

// What the record is of. Only a freeze's counts for a host: a drill holds and releases with nothing
// frozen in between, has no sequence number, and never stands where the host looks for a record.
enum class WindowKind : std::uint8_t { kFreeze, kDrill };

// How long each call of a resource took, so far as it was made.
struct CallTimes {
  std::optional<std::chrono::nanoseconds> prepare;
  std::optional<std::chrono::nanoseconds> hold;
  std::optional<std::chrono::nanoseconds> check;
  std::optional<std::chrono::nanoseconds> release;
};

struct ResourceRecord {
  std::string name;
  std::string plugin;
  bool required = true;
  api::Identity identity;
  std::optional<base::MonoTime> held_at;
  std::optional<base::MonoTime> released_at;
  std::optional<base::MonoTime> lost_at;
  api::Position position;
  api::Position position_at_thaw;
  api::Position details;
  std::vector<std::string> warnings;
  CallTimes times;
  api::ReleaseReport release;
  Verdict verdict;
};

struct WindowRecord {
  WindowKind kind = WindowKind::kFreeze;
  std::string id;
  std::uint64_t sequence = 0;
  std::string boot;
  Instant begin{};
  std::optional<Instant> held;
  // When the guest agent was seen to have thawed, if that was before its hook.
  std::optional<Instant> thaw_seen;
  std::optional<Instant> end;
  std::vector<Phase> phases;
  std::vector<std::string> filesystems;
  std::vector<ResourceRecord> resources;
  // None while the window is open.
  std::optional<Verdict> verdict;
};

[[nodiscard]] base::Json to_json(const WindowRecord& record);

// How a window ends whose daemon went away, and the record that it left, completed with that end.
[[nodiscard]] base::Error daemon_restarted();
[[nodiscard]] base::Json lost_with_its_daemon(base::Json held);

// Measures one phase into a record, from construction to destruction.
class PhaseTimer {
 public:
  PhaseTimer(WindowRecord& record, const base::Clock& clock, std::string name);
  PhaseTimer(const PhaseTimer&) = delete;
  PhaseTimer& operator=(const PhaseTimer&) = delete;
  ~PhaseTimer();

 private:
  WindowRecord& record_;
  const base::Clock& clock_;
  std::size_t index_;
};

}  // namespace holdfast::core
