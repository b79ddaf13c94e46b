// SPDX-License-Identifier: MIT
//
// A database that is not there, and a plugin that holds it. FakeServer has the memory: is it
// locked, by which session, at which position, and which call is to end how. FakePlugin speaks to
// it as a real plugin speaks to its server, with a socket that shows when the session has gone.
//
// Threads: FakeServer from any; FakePlugin as api/plugin.h says, and it fails the call if two of
// them come at once.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "api/plugin.h"
#include "base/unique_fd.h"
#include "support/call_log.h"

namespace holdfast::support {

enum class FakeCall { kProbe, kPrepare, kHold, kCheck, kExtend, kRelease, kRollback };

enum class FakeEnding {
  kSucceed,
  kFail,          // returns an error
  kMisconfigure,  // returns an error that says the configuration is wrong
  kThrow,         // throws an exception
  kThrowOther,    // throws something that is not one
  kHang,          // until stopped, at the latest at the deadline; then kCancelled or kTimedOut
  kHangHard,      // until interrupt(), whatever the deadline
  kStuck,         // until unstick(), whatever anybody says
  kLose,          // succeeds, and the session closes at once
  kNothing,       // hold(): success without a Hold
  kLie,           // says that it has succeeded, and has done nothing
};

class FakeServer {
 public:
  FakeServer(std::string name, CallLog& log) : name_(std::move(name)), log_(log) {}

  void script(FakeCall call, FakeEnding ending);
  // Is any call to wait for a deadline, or beyond it?
  [[nodiscard]] bool hangs() const;
  // The server closes the session, and with it the lock.
  void close_session();
  // Somebody writes although it is locked.
  void move_position();
  // Sends the session something that nobody asked for.
  void speak();
  // Nobody waits for a hold of it.
  void stall_nobody();
  // What a hold will have to say once it is released.
  void report_at_release(api::ReleaseReport report);
  void unstick();

  [[nodiscard]] bool is_locked() const;
  [[nodiscard]] bool is_connected() const;
  // How long the last such call was given when it came; nothing if none has come.
  [[nodiscard]] std::optional<base::Millis> time_given(FakeCall call) const;
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  friend class FakePlugin;
  friend class FakeHold;

  [[nodiscard]] base::Result<void> perform(FakeCall call, base::Deadline deadline,
                                           const std::stop_token& stop);
  [[nodiscard]] base::Result<void> wait_for(FakeEnding ending, base::Deadline deadline,
                                            const std::stop_token& stop);
  void connect();
  void disconnect();
  void hear();
  void interrupt();

  const std::string name_;
  CallLog& log_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<FakeCall, FakeEnding> script_;
  std::map<FakeCall, base::Millis> time_given_;
  bool busy_ = false;
  bool locked_ = false;
  bool stalls_ = true;
  bool interrupted_ = false;
  bool cut_ = false;  // shut down on our side, and of no more use
  bool unstuck_ = false;
  int sessions_ = 0;
  int position_ = 100;
  api::ReleaseReport report_at_release_;
  base::UniqueFd client_;
  base::UniqueFd server_;
};

class FakePlugin final : public api::Plugin {
 public:
  FakePlugin(const std::string& resource, std::shared_ptr<FakeServer> server,
             base::ProcessRunner& processes);
  ~FakePlugin() override;

  [[nodiscard]] base::OptionTable option_table() const override { return {}; }
  [[nodiscard]] base::Result<api::ProbeReport> probe(base::Deadline deadline,
                                                     std::stop_token stop) override;
  [[nodiscard]] int watch_fd() const override;
  [[nodiscard]] base::Result<void> prepare(const api::Window& window, base::Deadline deadline,
                                           std::stop_token stop) override;
  [[nodiscard]] base::Result<std::unique_ptr<api::Hold>> hold(const api::Window& window,
                                                              base::Deadline deadline,
                                                              std::stop_token stop) override;
  [[nodiscard]] bool stalls_writers() const override;
  void rollback(base::Deadline deadline) override;
  void interrupt() override;

 private:
  [[nodiscard]] base::Result<void> do_finish_config() override { return {}; }

  std::shared_ptr<FakeServer> server_;
};

}  // namespace holdfast::support
