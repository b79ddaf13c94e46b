// SPDX-License-Identifier: MIT
//
// PostgreSQL as a resource. Its writers can't be held, and needn't be: a snapshot of the frozen
// filesystem restores by crash recovery. The plugin makes that recovery short, and proves that the
// same server was there from before the freeze until after the thaw (postgresql_hold.h).
//
//   mode = checkpoint   prepare() runs CHECKPOINT; one that takes longer than checkpoint-timeout is
//                       given up, and the freeze goes on: recovery then takes longer, no more. It
//                       never uses up the time of the freeze
//   mode = backup       prepare() starts a non-exclusive backup (an immediate checkpoint as well),
//                       which the session carries to the thaw; release() ends it and keeps the
//                       label. Of use only with archived WAL. Failing to start it fails the freeze.
//
// Threads and ownership: api/plugin.h. Errors name the resource.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/plugin.h"
#include "base/waker.h"
#include "postgresql/postgresql_hold.h"
#include "postgresql/postgresql_session.h"
#include "postgresql/postgresql_settings.h"

namespace holdfast::postgresql {

class PostgresqlPlugin final : public api::Plugin {
 public:
  explicit PostgresqlPlugin(api::PluginContext context)
      : Plugin(std::move(context)), session_(waker_), keeper_(waker_) {}

  [[nodiscard]] base::OptionTable option_table() const override {
    return postgresql_option_table();
  }
  [[nodiscard]] base::Result<api::ProbeReport> probe(base::Deadline deadline,
                                                     std::stop_token stop) override;
  [[nodiscard]] int watch_fd() const override { return session_.fd(); }
  [[nodiscard]] base::Result<void> prepare(const api::Window& window, base::Deadline deadline,
                                           std::stop_token stop) override;
  [[nodiscard]] base::Result<std::unique_ptr<api::Hold>> hold(const api::Window& window,
                                                              base::Deadline deadline,
                                                              std::stop_token stop) override;
  [[nodiscard]] bool stalls_writers() const override { return false; }
  void rollback(base::Deadline deadline) override;
  void interrupt() override;

 private:
  [[nodiscard]] base::Result<void> do_finish_config() override;
  // Connects, or asks whether the session still answers, and connects anew if it does not.
  [[nodiscard]] base::Result<ServerState> connect(const Patience& patience);
  [[nodiscard]] base::Result<std::vector<std::string>> check_privileges() const;
  [[nodiscard]] base::Result<void> run_checkpoint(const Patience& patience);
  // "unable to … 'postgresql:main'", for a cause.
  [[nodiscard]] base::Error unable(const std::string& what, base::Error cause) const;

  PostgresqlSettings settings_;
  base::Waker waker_;
  PostgresqlSession session_;
  LabelKeeper keeper_;
  std::optional<RunningBackup> backup_;
  // Why the last checkpoint was not done; empty if it was. The next probe() tells.
  std::string checkpoint_problem_;
};

}  // namespace holdfast::postgresql
