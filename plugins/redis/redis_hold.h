// SPDX-License-Identifier: MIT
//
// A server whose writes are paused. Borrows the plugin's WritePause. What makes it a hold, and what
// proves it, stands there.
//
// Threads: the resource's worker.
#pragma once

#include <string>
#include <vector>

#include "api/hold.h"
#include "redis/server_state.h"
#include "redis/write_pause.h"

namespace holdfast::redis {

// A pause outlives the session, and so its bound has to outlast the daemon's own.
[[nodiscard]] base::Millis pause_bound(const api::Window& window);

class RedisHold final : public api::Hold {
 public:
  // `state` was read under the pause.
  RedisHold(WritePause& pause, std::string resource, ServerState state, api::Position details,
            std::vector<std::string> warnings);
  ~RedisHold() override;

  [[nodiscard]] const api::Identity& identity() const override { return identity_; }
  [[nodiscard]] const api::Position& position() const override { return position_; }
  [[nodiscard]] api::Position details() const override { return details_; }
  [[nodiscard]] std::vector<std::string> warnings() const override { return warnings_; }
  [[nodiscard]] int watch_fd() const override { return pause_.watch_fd(); }
  [[nodiscard]] base::Result<api::Position> check(base::Deadline deadline) override;
  [[nodiscard]] base::Result<void> extend(const api::Window& window,
                                          base::Deadline deadline) override;
  [[nodiscard]] base::Result<void> release(base::Deadline deadline) override;

 private:
  [[nodiscard]] base::Error lost(base::Error cause) const;

  WritePause& pause_;
  std::string resource_;
  ServerState state_;
  bool released_ = false;
  api::Identity identity_;
  api::Position position_;
  api::Position details_;
  std::vector<std::string> warnings_;
};

[[nodiscard]] api::Identity identity_of(const ServerState& state, const WritePause& pause);

}  // namespace holdfast::redis
