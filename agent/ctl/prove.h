// SPDX-License-Identifier: MIT
//
// holdfastctl prove: did every resource come up, is what it holds sound, and does it stand at the
// position that the freeze record on the disk has, or after it? What a machine that was started
// from a backup is asked by its host.
//
// Knows no database: holdfastd says which resources there are and whether each can be reached, and
// a plugin's package brings a program that does the rest as root (holdfastctl(8), PROVE PROGRAMS),
// since the service's own accounts may read no table. What they say passes through printable().
//
// Threads: blocks the calling thread, at most as long as the wish says.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json_codec.h"
#include "base/process_runner.h"
#include "base/result.h"
#include "ctl/request.h"
#include "ctl/setup.h"

namespace holdfast::ctl {

inline constexpr const char* kFreezeRecord = "/var/lib/holdfast/freeze.json";
inline constexpr const char* kResourceFiles = "/etc/holdfast/resources.d";

struct ProveWish {
  std::string programs = kSetupDirectory;
  std::string resources = kResourceFiles;
  std::string record = kFreezeRecord;
  // How long a resource may take to come up.
  base::Millis wait{300'000};
  // All together.
  base::Millis timeout{1'800'000};
};

// One answer of a prove program.
struct Answer {
  enum class Verdict { kOk, kBad, kNone };
  Verdict verdict = Verdict::kNone;
  std::string text;
};

struct ProvenResource {
  std::string name;
  std::string plugin;
  std::string engine;
  std::string version;
  bool required = true;
  base::Json recorded = base::Json::object();
  Answer up;
  Answer sound;
  Answer position;

  // Empty: nothing speaks against it.
  [[nodiscard]] std::string problem() const;
};

struct Proof {
  // The freeze record on the disk; null if there is none.
  base::Json record;
  std::vector<ProvenResource> resources;
  // Why nothing could be asked at all; empty if it could.
  std::string problem;

  // 0, or 1 if something speaks against a required resource.
  [[nodiscard]] int exit_status() const;
};

// Asks holdfastd to look at its resources now.
using AskDaemon = std::function<base::Result<Reply>()>;

// Failures are in the proof, each with its resource.
[[nodiscard]] Proof prove(base::ProcessRunner& processes, const AskDaemon& daemon,
                          const ProveWish& wish);

[[nodiscard]] std::string proof_text(const Proof& proof);
[[nodiscard]] base::Json proof_json(const Proof& proof);

}  // namespace holdfast::ctl
