// SPDX-License-Identifier: MIT
#include "fs/freeze_watch.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <string_view>
#include <system_error>
#include <thread>

namespace holdfast::fs {

namespace {

constexpr const char* kNobody = ".holdfast-no-such-name";
// There is no event for "frozen": this is how often it is tried, and looked at.
constexpr int kQuickMs = 1;
constexpr int kQuickLooks = 200;
constexpr int kSlowMs = 20;
// Where Linux waits for a thaw: percpu_rwsem_wait since 5.7, before that within __sb_start_write.
constexpr std::array<std::string_view, 4> kWaits{"percpu_rwsem_wait", "__percpu_down_read",
                                                 "percpu_down_read", "__sb_start_write"};

}  // namespace

struct FreezeWatch::Run {
  base::UniqueFd filesystem;
  std::atomic<pid_t> thread = 0;
  std::atomic<int> pause_ms = kQuickMs;
  std::mutex mutex;
  std::condition_variable changed;
  bool over = false;
};

FreezeWatch::~FreezeWatch() {
  stop();
}

void FreezeWatch::work(const std::shared_ptr<Run>& run) {
  run->thread = ::gettid();
  std::unique_lock lock(run->mutex);
  while (!run->over) {
    lock.unlock();
    (void)::unlinkat(run->filesystem.get(), kNobody, 0);
    lock.lock();
    run->changed.wait_for(lock, std::chrono::milliseconds(run->pause_ms),
                          [&] { return run->over; });
  }
  // Its number may be another thread's from here on.
  run->thread = 0;
}

int FreezeWatch::start(int filesystem) {
  stop();
  auto run = std::make_shared<Run>();
  run->filesystem = base::UniqueFd(::fcntl(filesystem, F_DUPFD_CLOEXEC, 0));
  if (!run->filesystem.valid()) return errno;
  try {
    std::thread([run] { work(run); }).detach();
  } catch (const std::system_error&) {
    return EAGAIN;
  }
  run_ = std::move(run);
  looks_ = 0;
  return 0;
}

void FreezeWatch::stop() {
  const std::shared_ptr<Run> run = std::move(run_);
  run_ = nullptr;
  if (run == nullptr) return;
  {
    const std::lock_guard lock(run->mutex);
    run->over = true;
  }
  run->changed.notify_all();
}

bool FreezeWatch::sees_freeze() const {
  if (run_ == nullptr || run_->thread == 0) return false;
  std::array<char, 64> path{};
  (void)std::snprintf(path.data(), path.size(), "/proc/self/task/%d/wchan",
                      static_cast<int>(run_->thread.load()));
  const base::UniqueFd file(::open(path.data(), O_RDONLY | O_CLOEXEC));
  std::array<char, 64> text{};
  const ssize_t size = file.valid() ? ::read(file.get(), text.data(), text.size()) : -1;
  if (size <= 0) return false;
  const std::string_view place(text.data(), static_cast<std::size_t>(size));
  return std::find(kWaits.begin(), kWaits.end(), place) != kWaits.end();
}

int FreezeWatch::next_look() {
  const int pause = ++looks_ > kQuickLooks ? kSlowMs : kQuickMs;
  if (run_ != nullptr) run_->pause_ms = pause;
  return pause;
}

}  // namespace holdfast::fs
