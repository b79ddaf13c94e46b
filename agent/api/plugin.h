// SPDX-License-Identifier: MIT
//
// The contract between holdfastd and a plugin: a module that can hold one kind of resource still.
// One Plugin object stands for one resource (one file in resources.d), for the daemon's whole life.
//
//   create ── configure()* ── finish_config()            main thread, before READY=1; no I/O but
//                 │                                       reading local files
//                 ▼
//            ┌─ probe() ◄──────────┐                      worker thread from here on
//            │    │ ok             │ the session closed, or the last probe failed
//            │    ▼                │
//            │  ready: connected, idle, watch_fd() is polled
//            │    │ freeze
//            │    ▼
//            │  prepare()   slow and harmless: checkpoint, wait out long statements
//            │    │   └─ fails, or the freeze is given up ──► rollback() ──► ready
//            │    ▼
//            │  hold()      quick and stalling ──► Hold ── position, check, release ──► ready
//            │        │                      └─ a second freeze: check, extend
//            │        └─ fails: nothing stays locked ──► rollback() ──► ready
//            ▼
//          destructor: closes every session, and so releases everything
//
// Threads: a resource has one worker thread; probe() and everything after runs there, one call at a
// time. Only interrupt() and stop tokens come from other threads.
//
// Deadlines and stop tokens: every call that may block returns soon (100 ms) after whichever comes
// first, leaving no lock behind. A call that does not is met with interrupt(), and if that does not
// help either, the daemon ends itself: sessions that end hold no lock.
//
// Errors: nothing throws across this boundary. The host catches everything all the same, names the
// resource and counts it as a failure. Plugins never log; they return errors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "api/hold.h"
#include "base/clock.h"
#include "base/options.h"
#include "base/process_runner.h"
#include "base/result.h"

namespace holdfast::api {

// What a plugin gets from the daemon. References are borrowed and outlive the plugin.
struct PluginContext {
  // "mysql:main" is plugin "mysql", resource "main" (resources.d/main.conf).
  std::string resource;
  base::ProcessRunner& processes;
  // A directory of this resource's own under /var/lib/holdfast, made when first needed by the
  // plugin; may be written outside windows only.
  std::string state_directory;
  // A file of this resource's own under /run/holdfast, which no freeze reaches and no reboot
  // survives; may be written at any time. For what the next daemon has to undo if this one is
  // killed: a plugin whose lock ends with its session needs none.
  std::string run_file = {};
};

// The result of a probe: who answers there, and what an administrator should know.
struct ProbeReport {
  Identity identity;
  // Things that will work but not as well as they could; one line each.
  std::vector<std::string> warnings;
  // What the plugin means to do, as ordered pairs: {"lock", "backup-stage"}. Keys are those of
  // Hold::details().
  Position details = {};
};

class Plugin {
 public:
  explicit Plugin(PluginContext context);
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;
  virtual ~Plugin() = default;

  [[nodiscard]] const PluginContext& context() const { return context_; }

  // The keys of this plugin, beside those that every resource has (plugin, required, order). The
  // table feeds --print-config and the test of the manual page.
  [[nodiscard]] virtual base::OptionTable option_table() const = 0;

  // One setting of the resource file. kConfiguration, with the origin, for what is not right.
  [[nodiscard]] base::Result<void> configure(const base::Setting& setting);
  // After the last of them: do they make sense together, and are the files they name usable?
  // `file` is the resource file, for messages.
  [[nodiscard]] base::Result<void> finish_config(const std::string& file);
  // "key = value  # origin" lines of the effective settings.
  [[nodiscard]] std::string print_config() const;

  // Connects if it is not connected, and asks: is the service here, is it the right one, may we do
  // all that a freeze needs? Changes nothing. May be repeated; while connected it proves the
  // session. On failure no session stays open.
  [[nodiscard]] virtual base::Result<ProbeReport> probe(base::Deadline deadline,
                                                        std::stop_token stop) = 0;

  // A descriptor that shows POLLIN, POLLHUP or POLLRDHUP when the idle session is gone; -1 if there
  // is none. Borrowed until the next call of any other function.
  [[nodiscard]] virtual int watch_fd() const = 0;

  // Makes the coming stall short. Stalls nobody's writes itself.
  [[nodiscard]] virtual base::Result<void> prepare(const Window& window, base::Deadline deadline,
                                                   std::stop_token stop) = 0;

  // Do others wait for as long as a Hold of it lasts? Asked after prepare(), on the worker thread.
  // What stalls nobody is held before what does, and looked after once that is released, so that
  // nobody waits for it.
  [[nodiscard]] virtual bool stalls_writers() const { return true; }

  // Takes the lock, confirms it, flushes logs, and reads the position under it. On failure nothing
  // stays locked: where that can't be known, the session is closed.
  [[nodiscard]] virtual base::Result<std::unique_ptr<Hold>> hold(const Window& window,
                                                                 base::Deadline deadline,
                                                                 std::stop_token stop) = 0;

  // Undoes what prepare() did, when no Hold has come of it. Does nothing if there is nothing.
  virtual void rollback(base::Deadline deadline) = 0;

  // From any thread, at any time, also during every other call: makes that call return by shutting
  // the sessions down (shutdown(2), not close: the worker still owns the descriptors). What was
  // locked is released by the server when it sees that.
  virtual void interrupt() = 0;

 protected:
  // The checked settings, complete once do_finish_config() runs.
  [[nodiscard]] const base::Options& options() const { return *options_; }

 private:
  [[nodiscard]] virtual base::Result<void> do_finish_config() = 0;

  // The table is virtual, so it can't be asked for in the constructor.
  base::Options& ensure_options();

  PluginContext context_;
  std::unique_ptr<base::Options> options_;
};

// What a module exports: one C function of this name and type. A module whose numbers differ from
// the daemon's is refused, with both in the message: before 1.0 there is no promise beyond
// equality.
inline constexpr std::uint32_t kApiVersion = 4;
inline constexpr const char* kModuleEntry = "holdfast_plugin_module";

struct PluginModule {
  std::size_t struct_size;
  std::uint32_t api_version;
  const char* name;  // as in `plugin = NAME`, and in holdfast-NAME.so
  std::unique_ptr<Plugin> (*create)(PluginContext context);
};

using ModuleEntry = const PluginModule* (*)();

}  // namespace holdfast::api

// Defines the entry of a module; at namespace scope in the module's one plugin file.
#define HOLDFAST_PLUGIN_MODULE(module_name, PluginClass)                                     \
  extern "C" __attribute__((visibility("default"))) const holdfast::api::PluginModule*       \
  holdfast_plugin_module() {                                                                 \
    static const holdfast::api::PluginModule kModule{                                        \
        sizeof(holdfast::api::PluginModule), holdfast::api::kApiVersion, module_name,        \
        [](holdfast::api::PluginContext context) -> std::unique_ptr<holdfast::api::Plugin> { \
          return std::make_unique<PluginClass>(std::move(context));                          \
        }};                                                                                  \
    return &kModule;                                                                         \
  }
