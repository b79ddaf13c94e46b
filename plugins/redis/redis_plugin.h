// SPDX-License-Identifier: MIT
//
// Redis and Valkey as a resource: writers are held by CLIENT PAUSE … WRITE, so that the filesystem
// may freeze without one write taking the whole server with it, reads included.
//
//   probe()    connects both sessions, asks what the account may do
//   prepare()  waits for a save or a rewrite that is going on; without an append-only file saves
//   hold()     pauses writes, has the server confirm it, waits for the append-only file to be
//              written; position
//
// Threads and ownership: api/plugin.h. Errors name the resource.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/plugin.h"
#include "redis/redis_settings.h"
#include "redis/write_pause.h"

namespace holdfast::redis {

class RedisPlugin final : public api::Plugin {
 public:
  explicit RedisPlugin(api::PluginContext context)
      : Plugin(std::move(context)), pause_(Plugin::context().run_file) {}

  [[nodiscard]] base::OptionTable option_table() const override { return redis_option_table(); }
  [[nodiscard]] base::Result<api::ProbeReport> probe(base::Deadline deadline,
                                                     std::stop_token stop) override;
  [[nodiscard]] int watch_fd() const override { return pause_.watch_fd(); }
  [[nodiscard]] base::Result<void> prepare(const api::Window& window, base::Deadline deadline,
                                           std::stop_token stop) override;
  [[nodiscard]] base::Result<std::unique_ptr<api::Hold>> hold(const api::Window& window,
                                                              base::Deadline deadline,
                                                              std::stop_token stop) override;
  // A save needs no undoing.
  void rollback(base::Deadline /*deadline*/) override {}
  void interrupt() override { pause_.interrupt(); }

 private:
  [[nodiscard]] base::Result<void> do_finish_config() override;
  [[nodiscard]] base::Result<ServerState> connect(const Patience& patience);
  [[nodiscard]] std::vector<std::string> warnings_for(const ServerState& state) const;
  // Waits until nothing is saved or rewritten in the background; an append-only file that is still
  // being rewritten after save-timeout is let be.
  [[nodiscard]] base::Result<void> wait_for_jobs(const Patience& patience);
  // A save that holds everything that was written before this call.
  [[nodiscard]] base::Result<void> save(const Patience& patience);
  // Everything that was acknowledged is in the file, as far as the file's page cache.
  [[nodiscard]] base::Result<void> settle(const Patience& patience);
  [[nodiscard]] base::Result<void> rest(base::Millis span, const Patience& patience);
  // "unable to … 'redis:main'", for a cause.
  [[nodiscard]] base::Error unable(const std::string& what, base::Error cause) const;

  RedisSettings settings_;
  WritePause pause_;
  std::string run_id_;
};

}  // namespace holdfast::redis
