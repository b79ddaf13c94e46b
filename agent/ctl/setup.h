// SPDX-License-Identifier: MIT
//
// holdfastctl setup: asks the setup program of each plugin which servers it finds here, shows what
// it would do for each, and has it done if that is wanted. Knows no database: a plugin brings its
// own program, which speaks the JSON lines of holdfastctl(8), SETUP PROGRAMS. What they say passes
// through printable() before it is shown.
//
// Threads: blocks the calling thread while a program runs, each for at most kSetupLimit.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json_codec.h"
#include "base/process_runner.h"
#include "base/result.h"

namespace holdfast::ctl {

inline constexpr const char* kSetupDirectory = "/usr/lib/holdfast";
inline constexpr base::Millis kSetupLimit{60'000};

struct SetupWish {
  std::string directory = kSetupDirectory;
  // Take back what was made, rather than make it.
  bool remove = false;
  // Do it, rather than show it.
  bool yes = false;
};

struct SetupStep {
  // "statement", "file", "remove", or "note", which is nothing to be done.
  std::string kind;
  std::string text;
  // Of a file.
  std::string content = {};
};

struct SetupServer {
  std::string plugin;
  std::string name;
  std::string what;
  // Done, if that was wanted and there is no problem; up to the one that failed otherwise.
  std::vector<SetupStep> steps;
  // Why it could not be found out, or done; empty if all went well.
  std::string problem;

  [[nodiscard]] bool has_work() const;
};

struct SetupOutcome {
  std::size_t programs = 0;
  std::vector<SetupServer> servers;

  // 0, or 1 if something went wrong, or if no plugin has a setup program.
  [[nodiscard]] int exit_status() const;
};

// Failures are in the outcome, each with its server.
[[nodiscard]] SetupOutcome run_setup(base::ProcessRunner& processes, const SetupWish& wish);

[[nodiscard]] std::string setup_text(const SetupOutcome& outcome, const SetupWish& wish);
[[nodiscard]] base::Json setup_json(const SetupOutcome& outcome, const SetupWish& wish);

}  // namespace holdfast::ctl
