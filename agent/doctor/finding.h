// SPDX-License-Identifier: MIT
//
// What the doctor says: one line what is so, and one line what to do about it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace holdfast::doctor {

enum class Level : std::uint8_t {
  kOk,
  kUnknown,  // it could not be found out, mostly for lack of permission
  kWarning,  // a freeze works, but not as well, or not for everything
  kProblem,  // a freeze from the host will fail, hang, or protect nothing
};

struct Finding {
  Level level = Level::kOk;
  // A word that scripts can rely on: "hook-not-run".
  std::string id;
  std::string text;
  // What to do; empty if all is well.
  std::string advice = {};
};

using Findings = std::vector<Finding>;

}  // namespace holdfast::doctor
