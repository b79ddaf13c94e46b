// SPDX-License-Identifier: MIT
//
// The registry of plugin implementations under the contract suite, and what the suite has to be
// able to do to each of them. To add one: write NAME_subject.cpp with a class derived from Subject
// and a Registration at namespace scope.
//
// Threads: the suite's one thread.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/plugin.h"
#include "base/options.h"

namespace holdfast::contract {

// One resource to be held, with its engine. What an engine can't do, it says no to, and the tests
// that need it pass over it.
class Subject {
 public:
  virtual ~Subject() = default;

  // A new, unconfigured plugin object for the resource.
  [[nodiscard]] virtual std::unique_ptr<api::Plugin> make() = 0;
  // Settings with which it works.
  [[nodiscard]] virtual std::vector<base::Setting> settings() const = 0;

  // Ends the session of a hold or a probe from outside, as an administrator would.
  [[nodiscard]] virtual bool can_end_session() const { return false; }
  virtual void end_session(const api::Identity&) {}
  // Is that the lock's end as well? If not, release() has to end it all the same.
  [[nodiscard]] virtual bool lock_ends_with_session() const { return true; }

  // Puts something in the way, so that prepare() or hold() has to wait until unblock().
  [[nodiscard]] virtual bool can_block() const { return false; }
  virtual void block() {}
  virtual void unblock() {}

  // Makes the whole engine stop answering, and go on.
  [[nodiscard]] virtual bool can_pause() const { return false; }
  virtual void pause() {}
  virtual void resume() {}

  // Does a hold keep others from writing?
  [[nodiscard]] virtual bool holds_writers() const { return false; }
  // Does a write of somebody else succeed within a second?
  [[nodiscard]] virtual bool others_can_write() { return true; }
};

struct Implementation {
  std::string name;  // a C identifier: it becomes part of the tests' names
  std::function<std::unique_ptr<Subject>()> make;
};

[[nodiscard]] std::vector<Implementation>& registry();

struct Registration {
  Registration(std::string name, std::function<std::unique_ptr<Subject>()> make) {
    registry().push_back({std::move(name), std::move(make)});
  }
};

// A plugin object out of a module, loaded as the daemon loads it. Throws std::runtime_error.
[[nodiscard]] std::unique_ptr<api::Plugin> plugin_from(const std::string& module_path,
                                                       api::PluginContext context);

// The value of an environment variable that the runner sets. Throws std::runtime_error without it.
[[nodiscard]] std::string environment(const char* name);

// SIGSTOP or SIGCONT to a process and all its children; when it returns they have stopped.
void signal_family(pid_t process, int signal);

}  // namespace holdfast::contract
