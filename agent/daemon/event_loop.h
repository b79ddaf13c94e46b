// SPDX-License-Identifier: MIT
//
// The main thread's loop: epoll, one-shot timers, and work that other threads hand over. Sleeps
// until something happens; there is no tick.
//
// Threads: post() from any; everything else on the loop's thread, handlers included.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/unique_fd.h"

namespace holdfast::daemon {

class EventLoop {
 public:
  using Handler = std::function<void(std::uint32_t events)>;
  using Work = std::function<void()>;
  using Timer = std::pair<base::MonoTime, std::uint64_t>;

  EventLoop();

  // `fd` is borrowed until forget(); `events` as for epoll_ctl(2), level-triggered.
  void watch(int fd, std::uint32_t events, Handler handler);
  void change(int fd, std::uint32_t events);
  // May be called from the handler itself.
  void forget(int fd);

  Timer at(base::MonoTime time, Work work);
  void cancel(const Timer& timer) { timers_.erase(timer); }

  void post(Work work);

  // Until quit(); returns its argument.
  int run();
  // One round: waits for something to happen, and deals with it.
  void turn();
  void quit(int status) { quit_status_ = status; }

 private:
  void run_posted();
  void run_timers();
  [[nodiscard]] int timeout() const;

  base::UniqueFd epoll_;
  base::UniqueFd wake_;
  std::map<int, std::shared_ptr<Handler>> handlers_;
  std::map<Timer, Work> timers_;
  std::uint64_t timers_made_ = 0;
  std::optional<int> quit_status_;

  std::mutex mutex_;
  std::vector<Work> posted_;
};

}  // namespace holdfast::daemon
