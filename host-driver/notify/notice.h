// SPDX-License-Identifier: MIT
//
// What is told of a command that has run, once for all of its machines: a subject that fits a
// telephone, a text that says in its first lines what failed and why, and the same for programs.
//
// Threads: plain values. Every text from outside is made printable here once more: a name on the
// command line, and with an error's text a guest, may have written it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/json_codec.h"

namespace holdfast::host::notify {

enum class Outcome : std::uint8_t {
  kGood,
  kWarning,  // done below the preferred level, or not done since another run is at work
  kFailed,
};

[[nodiscard]] std::string_view name_of(Outcome outcome);  // "good", "warning", "failed"
[[nodiscard]] Outcome outcome_named(std::string_view name);
// Of an exit status.
[[nodiscard]] Outcome outcome_of(int status);

struct Told {
  std::string vm;  // empty: it did not come to any machine
  int status = 0;
  std::vector<base::Error> problems = {};
  std::vector<std::string> facts = {};  // a line each
  base::Json detail = {};               // for programs
  std::string group = {};               // with which it was done; empty: on its own
  bool by_another = false;              // that another one of it failed is all that it failed of
  // From earlier runs.
  bool recovered = false;
  std::string last_good = {};
};

struct Notice {
  std::string command;
  std::string host;
  base::WallTime begin;
  base::WallTime end;
  int status = 0;
  std::vector<Told> machines;
};

[[nodiscard]] std::string subject_of(const Notice& notice);
[[nodiscard]] std::string text_of(const Notice& notice);
[[nodiscard]] base::Json json_of(const Notice& notice);
// The names of those that ended so, blanks between them.
[[nodiscard]] std::string names_of(const Notice& notice, Outcome outcome);

}  // namespace holdfast::host::notify
