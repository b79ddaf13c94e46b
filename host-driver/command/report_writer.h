// SPDX-License-Identifier: MIT
//
// The other end of Child: tells the events of a run to the process that started this one. Nobody
// reads any more: nothing is told, and the run goes on.
//
// Threads: one at a time, never between freeze and thaw (see Observer): a reader that is stopped
// keeps a writer waiting once the pipe is full.
#pragma once

#include "base/unique_fd.h"
#include "command/run_report.h"
#include "run/observer.h"

namespace holdfast::host::command {

class ReportWriter final : public run::Observer {
 public:
  // kUsage if there is no such descriptor, or it cannot be written to.
  [[nodiscard]] static base::Result<base::UniqueFd> take(int fd);
  explicit ReportWriter(base::UniqueFd fd) : fd_(std::move(fd)) {}

  void step(const std::string& name) override;
  // Whole percents alone: nobody sees more.
  void progress(const std::string& label, double percent) override;
  void note(const std::string& text) override;
  void end(const RunReport& report);

 private:
  void send(const Event& event);

  base::UniqueFd fd_;
  std::string last_label_;
  int last_percent_ = -1;
};

}  // namespace holdfast::host::command
