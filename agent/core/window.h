// SPDX-License-Identifier: MIT
//
// One window, from the first preparation to the last release: takes all resources through the steps
// and keeps the record of it. Knows the order of things and what an error costs, but neither states
// nor files: those are the coordinator's.
//
// Each step blocks up to its deadline plus two graces. Letting go is always complete: every
// resource is tried, in reverse order, whatever the others say.
//
// Threads: the coordinator's.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "api/plugin.h"
#include "base/clock.h"
#include "base/result.h"
#include "core/await_calls.h"
#include "core/bell.h"
#include "core/record.h"
#include "core/resource.h"

namespace holdfast::core {

using Resources = std::vector<std::unique_ptr<Resource>>;

// A fresh random UUID (RFC 4122, version 4).
[[nodiscard]] std::string make_uuid();

class Window {
 public:
  // A drill has no sequence number: 0.
  Window(Resources& resources, const base::Clock& clock, Bell& bell, std::string boot,
         std::uint64_t sequence, base::Millis max_hold, WindowKind kind);

  [[nodiscard]] WindowRecord& record() { return record_; }
  [[nodiscard]] const std::string& id() const { return record_.id; }

  // kFreezeTimeout, kMisconfigured or kHoldFailed, naming the resource, if a required one fails.
  // Optional ones that fail drop out of the window.
  [[nodiscard]] base::Result<void> prepare(const Patience& patience);
  [[nodiscard]] base::Result<void> hold(const Patience& patience);
  // Success is shown: same session, same server, position unmoved. kHoldLost otherwise, optional
  // resources included: once a hold has been taken it has to last.
  [[nodiscard]] base::Result<void> verify(const Patience& patience);
  // The same for a second freeze: what is held stays held, for this window (after renew()).
  [[nodiscard]] base::Result<void> take_over(const Patience& patience);
  // verify() for a thaw: each resource is let go as soon as its own check is done, and those that
  // stall nobody leave the processors to the others first, so that nobody's writes wait for another
  // resource's check. Where order groups forbid that, this is verify() alone.
  // What is still held afterwards is let_go()'s. kReleaseFailed if all holds lasted but a release
  // failed.
  [[nodiscard]] base::Result<void> verify_and_let_go(const Patience& patience,
                                                     base::MonoTime let_go_by);
  // kReleaseFailed if any of them reports an error; all have been tried.
  [[nodiscard]] base::Result<void> let_go(base::MonoTime end, base::Millis grace,
                                          Resource::Disks disks);

  // The same locks under a new record; the old record is returned.
  [[nodiscard]] WindowRecord renew(std::uint64_t sequence);

  // Did a call not return even when interrupted? Then only the process's end releases.
  [[nodiscard]] bool is_stuck() const { return stuck_; }
  // What optional resources dropped out with, for the log.
  [[nodiscard]] const std::vector<base::Error>& survived() const { return survived_; }

 private:
  [[nodiscard]] ResourceRecord& entry_of(const Resource& resource);
  [[nodiscard]] std::vector<std::vector<Resource*>> groups() const;
  // The order in which they are held: each group in two, who stalls writers after who does not.
  [[nodiscard]] std::vector<std::vector<Resource*>> waves() const;
  // Those that are held, with nothing going on.
  [[nodiscard]] std::vector<Resource*> held_ones() const;
  // Judges the calls that await_calls() has waited for; `verb` is for the message.
  [[nodiscard]] base::Result<void> judge(const std::vector<Resource*>& called,
                                         const Awaited& awaited, const std::string& verb);
  [[nodiscard]] base::Result<void> judge_checks(const std::vector<Resource*>& called,
                                                const Awaited& awaited);
  [[nodiscard]] std::optional<base::Error> judge_release(const Resource& resource);
  [[nodiscard]] api::Window described() const { return {record_.id, max_hold_}; }
  // Those of which a call is going on.
  [[nodiscard]] static std::vector<Resource*> busy_ones(const std::vector<Resource*>& resources);
  // Of those that are in the window, with nothing going on.
  static void begin_let_go(const std::vector<Resource*>& resources, base::MonoTime end,
                           Resource::Disks disks);
  // Into the record: what the end of a hold has brought to light.
  void note_release(const Resource& resource);
  void describe(const base::Clock& clock, std::uint64_t sequence);
  // How long what has been called took, into the record.
  void note_times();

  Resources& resources_;
  const base::Clock& clock_;
  Bell& bell_;
  WindowRecord record_;
  const base::Millis max_hold_;
  std::vector<base::Error> survived_;
  bool stuck_ = false;
};

}  // namespace holdfast::core
