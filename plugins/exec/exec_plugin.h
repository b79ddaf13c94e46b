// SPDX-License-Identifier: MIT
//
// Any program as a resource: plugin "exec". The contract is api::Plugin's; what the programs see is
// in holdfast-exec(5).
#pragma once

#include <memory>
#include <stop_token>

#include "api/plugin.h"
#include "exec/executor.h"

namespace holdfast::exec {

class ExecPlugin final : public api::Plugin {
 public:
  using api::Plugin::Plugin;

  [[nodiscard]] base::OptionTable option_table() const override;
  [[nodiscard]] base::Result<api::ProbeReport> probe(base::Deadline deadline,
                                                     std::stop_token stop) override;
  [[nodiscard]] int watch_fd() const override;
  [[nodiscard]] base::Result<void> prepare(const api::Window& window, base::Deadline deadline,
                                           std::stop_token stop) override;
  [[nodiscard]] base::Result<std::unique_ptr<api::Hold>> hold(const api::Window& window,
                                                              base::Deadline deadline,
                                                              std::stop_token stop) override;
  // Nobody knows what a program holds.
  [[nodiscard]] bool stalls_writers() const override { return executor_->has_programs(); }
  void rollback(base::Deadline deadline) override;
  void interrupt() override;

 private:
  [[nodiscard]] base::Result<void> do_finish_config() override;

  std::unique_ptr<Executor> executor_;
};

}  // namespace holdfast::exec
