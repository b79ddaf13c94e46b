// SPDX-License-Identifier: MIT
#include "run/strategy_context.h"

#include <utility>

#include "run/state.h"

namespace holdfast::host::run {

snapshot::StrategyContext strategy_context(const config::Settings& settings, qmp::Client& monitor,
                                           image::QemuImg& images, snapshot::JournalFile& journal,
                                           std::string run) {
  return {.monitor = monitor,
          .images = images,
          .journal = journal,
          .vm = settings.vm,
          .run = std::move(run),
          .overlay_directory = settings.overlay_directory,
          .overlay_reserve = settings.overlay_reserve,
          .tag = {},
          .backup_id = {},
          .sent_record = sent_path(settings),
          .receive_directory = receive_directory(settings),
          .rate_limit = settings.rate_limit,
          .memory = settings.memory,
          .memory_timeout = settings.memory_timeout};
}

}  // namespace holdfast::host::run
