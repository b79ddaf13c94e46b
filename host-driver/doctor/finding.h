// SPDX-License-Identifier: MIT
//
// What the doctor says: one line what is so, and what to do about it.
//
// Threads: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json_codec.h"

namespace holdfast::host::doctor {

enum class Level : std::uint8_t {
  kOk,
  kUnknown,  // it could not be found out
  kWarning,  // a backup works, but not as well as it should
  kProblem,  // a backup will fail, or not be what was asked for
};

struct Finding {
  Level level = Level::kOk;
  std::string area;  // "agent", "disks", …
  // A word that scripts can rely on: "not-a-repository".
  std::string id;
  std::string text;
  // What to do; empty if all is well.
  std::string hint = {};
};

using Findings = std::vector<Finding>;

[[nodiscard]] std::string_view name_of(Level level);
// The error as a problem, with its own hint, or else with this one.
[[nodiscard]] Finding problem(std::string area, std::string id, const base::Error& error,
                              const std::string& else_hint);

struct Diagnosis {
  std::string vm;
  Findings findings;

  [[nodiscard]] std::size_t count(Level level) const;
  // 0, or 1 if there is a problem.
  [[nodiscard]] int exit_status() const { return count(Level::kProblem) == 0 ? 0 : 1; }
};

// One line per finding, and one that counts them; quiet: only what is not well.
[[nodiscard]] std::string text_of(const Diagnosis& diagnosis, bool quiet);
[[nodiscard]] base::Json json_of(const Diagnosis& diagnosis);

}  // namespace holdfast::host::doctor
