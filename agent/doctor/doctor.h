// SPDX-License-Identifier: MIT
//
// "Will a freeze from the host really work here?" Runs every check, and says what came of it: one
// line what, one line what to do. Changes nothing, and needs no holdfastd.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json_codec.h"
#include "base/process_runner.h"
#include "base/result.h"
#include "doctor/finding.h"
#include "doctor/world.h"

namespace holdfast::doctor {

struct Diagnosis {
  struct Family {
    std::string name;
    Findings findings;
  };
  std::vector<Family> families;

  [[nodiscard]] std::size_t count(Level level) const;
  // 0, or 1 if there is a problem.
  [[nodiscard]] int exit_status() const;
};

[[nodiscard]] std::string_view name_of(Level level);

// `status` is holdfastd's answer to the verb of that name, or why there is none.
[[nodiscard]] Diagnosis examine(const World& world, base::ProcessRunner& processes,
                                const base::Result<base::Json>& status, bool as_root);

[[nodiscard]] std::string diagnosis_text(const Diagnosis& diagnosis);
[[nodiscard]] base::Json diagnosis_json(const Diagnosis& diagnosis);

}  // namespace holdfast::doctor
