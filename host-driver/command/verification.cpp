// SPDX-License-Identifier: MIT
#include "command/verification.h"

#include <chrono>
#include <utility>

namespace holdfast::host::command {

using base::Result;

namespace {

// Between two looks at how far it is.
constexpr std::chrono::milliseconds kShown{100};

}  // namespace

Verification::Verification(Work work, const std::stop_token& stop)
    : on_stop_(stop,
               [this] {
                 stopped_.request_stop();
                 unsound_.request_stop();
               }),
      work_(std::async(std::launch::async, [this, work = std::move(work)] {
        auto sound = work(stopped_.get_token(), [this](const std::string& doing, double percent) {
          const std::lock_guard lock(progress_.mutex);
          progress_.doing = doing;
          progress_.percent = percent;
        });
        if (!sound) unsound_.request_stop();
        return sound;
      })) {}

Verification::~Verification() {
  stopped_.request_stop();
}

Result<void> Verification::end(const Shown& show) {
  while (work_.wait_for(kShown) != std::future_status::ready) {
    std::string doing;
    double percent = 0;
    {
      const std::lock_guard lock(progress_.mutex);
      doing = progress_.doing;
      percent = progress_.percent;
    }
    if (!doing.empty()) show(doing, percent);
  }
  return work_.get();
}

}  // namespace holdfast::host::command
