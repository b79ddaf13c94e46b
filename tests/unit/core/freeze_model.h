// SPDX-License-Identifier: MIT
//
// What an administrator may expect of the coordinator, told again in as few words as will do: no
// states, threads, deadlines or files. It knows what the fakes are told to do, and says which
// answers are right and what must then be locked.
//
// The promise it keeps: once a freeze has been answered with success, the next thaw says 0 only if
// everything that was held has been held since. Nothing but a later success takes that back.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "support/fake_plugin.h"

namespace holdfast::core {

class FreezeModel {
 public:
  using Codes = std::set<std::string>;

  struct Part {
    std::string name;
    bool required = true;
    std::int64_t order = 0;
    bool stalls = true;
    std::map<support::FakeCall, support::FakeEnding> script = {};
    // Is the session looked at before the next freeze relies on it?
    bool needs_probe = false;
    bool held = false;
    // Since it was held: its session has gone, or somebody has written.
    bool lost = false;
    bool moved = false;
  };

  std::vector<Part> parts;
  // Calls of the filesystems that fail: "arm", "extend", "sync".
  std::set<std::string> failing;
  bool record_fails = false;

  // The answers that are right; freeze_answered() says which of them it was.
  [[nodiscard]] Codes freeze(bool given_up);
  void freeze_answered(const std::string& code);
  [[nodiscard]] std::string thaw();
  void thaw_seen();
  [[nodiscard]] std::string check();
  void expire();
  void abandon();
  void stop();
  // The daemon is killed, and another one begins.
  void crash();

  [[nodiscard]] bool is_open() const { return open_; }
  // Does the next thaw have something bad to say although nothing is held?
  [[nodiscard]] bool owes() const { return !owed_.empty(); }
  [[nodiscard]] Codes locked() const;

 private:
  [[nodiscard]] Codes first_freeze(bool given_up);
  [[nodiscard]] Codes next_freeze() const;
  [[nodiscard]] bool proves_hold(const Part& part) const;
  void close();
  void end(const std::string& owed);

  bool open_ = false;
  std::string owed_;
};

}  // namespace holdfast::core
