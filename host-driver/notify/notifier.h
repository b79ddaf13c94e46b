// SPDX-License-Identifier: MIT
//
// Tells of a command that has run, by mail and by the administrator's command, if it is to be told:
// decided by notify-on and by what was told before.
//
// Threads: one at a time. tell() takes as long as notify-timeout for each of the two ways at most.
#pragma once

#include <stop_token>
#include <vector>

#include "base/process_runner.h"
#include "config/settings.h"
#include "notify/memory.h"
#include "notify/notice.h"

namespace holdfast::host::notify {

// Is a machine that ends so after `before` was told a reason to tell?
[[nodiscard]] bool is_news(const std::string& on, Outcome before, Outcome now);

class Notifier {
 public:
  Notifier(const config::NotifySettings& settings, Memory memory, base::ProcessRunner& processes,
           std::stop_token stop)
      : settings_(settings),
        memory_(std::move(memory)),
        processes_(processes),
        stop_(std::move(stop)) {}

  // What went wrong with the telling, which changes nothing of what is told.
  [[nodiscard]] std::vector<base::Error> tell(Notice notice);

 private:
  [[nodiscard]] base::Result<void> send_mail(const Notice& notice);
  [[nodiscard]] base::Result<void> run_command(const Notice& notice);

  const config::NotifySettings& settings_;
  Memory memory_;
  base::ProcessRunner& processes_;
  std::stop_token stop_;
};

[[nodiscard]] std::string host_name();

}  // namespace holdfast::host::notify
