// SPDX-License-Identifier: MIT
//
// The hold of an exec resource: its programs have answered `freeze` with success. What they hold is
// theirs; all that can be shown is that they confirm it (verb `check`) and that the session with
// holdfast-execd, where there is one, has lasted.
//
// Threads and ownership: as api::Hold; borrows the plugin's executor.
#pragma once

#include <string>

#include "api/hold.h"
#include "exec/executor.h"

namespace holdfast::exec {

class ExecHold final : public api::Hold {
 public:
  ExecHold(Executor& executor, api::Identity identity, std::string window);
  ~ExecHold() override;

  [[nodiscard]] const api::Identity& identity() const override { return identity_; }
  [[nodiscard]] const api::Position& position() const override { return position_; }
  [[nodiscard]] int watch_fd() const override { return executor_.watch_fd(); }
  [[nodiscard]] base::Result<api::Position> check(base::Deadline deadline) override;
  [[nodiscard]] base::Result<void> release(base::Deadline deadline) override;

 private:
  Executor& executor_;
  api::Identity identity_;
  api::Position position_;  // programs have none
  std::string window_;
  bool released_ = false;
};

}  // namespace holdfast::exec
