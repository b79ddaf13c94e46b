// SPDX-License-Identifier: MIT
#include "core/scribe.h"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

#include "base/text.h"

namespace holdfast::core {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

struct Scribe::Desk {
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<Work> work;
  bool writing = false;
  bool quit = false;
  std::optional<Result<void>> outcome;
};

Scribe::Scribe() : desk_(std::make_shared<Desk>()), thread_([desk = desk_] { write(*desk); }) {}

Scribe::~Scribe() {
  bool hangs = false;
  {
    const std::lock_guard lock(desk_->mutex);
    desk_->quit = true;
    hangs = desk_->writing;
  }
  desk_->changed.notify_all();
  if (hangs) {
    thread_.detach();
  } else {
    thread_.join();
  }
}

void Scribe::write(Desk& desk) {
  std::unique_lock lock(desk.mutex);
  for (;;) {
    desk.changed.wait(lock, [&desk] { return desk.quit || desk.work; });
    if (desk.quit) return;
    const Work work = std::move(*std::exchange(desk.work, std::nullopt));
    lock.unlock();
    Result<void> outcome;
    try {
      outcome = work();
    } catch (const std::exception& problem) {
      outcome = Error(ErrorCode::kInternal, base::printable(problem.what()));
    }
    lock.lock();
    desk.outcome = std::move(outcome);
    desk.writing = false;
    desk.changed.notify_all();
  }
}

Result<void> Scribe::perform(Work work, Deadline deadline) {
  auto begun = begin(std::move(work));
  return begun ? finish(deadline) : begun;
}

Result<void> Scribe::begin(Work work) {
  {
    const std::lock_guard lock(desk_->mutex);
    if (desk_->writing) return Error(ErrorCode::kBusy, "an earlier write still hangs");
    desk_->work = std::move(work);
    desk_->writing = true;
    desk_->outcome.reset();
  }
  desk_->changed.notify_all();
  return {};
}

Result<void> Scribe::finish(Deadline deadline) {
  std::unique_lock lock(desk_->mutex);
  if (!desk_->changed.wait_until(lock, deadline.at(), [this] { return !desk_->writing; })) {
    return Error(ErrorCode::kTimedOut, "the disk did not take it in time");
  }
  return std::move(*desk_->outcome);
}

}  // namespace holdfast::core
