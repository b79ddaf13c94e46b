// SPDX-License-Identifier: MIT
#include "fs/fanout.h"

#include <fcntl.h>
#include <sys/eventfd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <system_error>
#include <thread>

namespace holdfast::fs {

struct Fanout::Run {
  Operation operation = nullptr;
  std::vector<base::UniqueFd> filesystems;
  std::vector<int> outcomes;
  std::atomic<std::size_t> left = 0;
  std::shared_ptr<base::UniqueFd> done;
};

Fanout::Fanout()
    : shared_done_(std::make_shared<base::UniqueFd>(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))),
      done_(*shared_done_) {}

void Fanout::work(Run& run, std::size_t index) {
  run.outcomes[index] = run.operation(run.filesystems[index].get());
  if (run.left.fetch_sub(1) == 1) {
    const std::uint64_t one = 1;
    (void)!::write(run.done->get(), &one, sizeof one);
  }
}

int Fanout::start(const std::vector<base::UniqueFd>& filesystems, Operation operation) {
  if (running()) return EBUSY;
  auto run = std::make_shared<Run>();
  run->operation = operation;
  run->done = shared_done_;
  for (const base::UniqueFd& filesystem : filesystems) {
    run->filesystems.emplace_back(::fcntl(filesystem.get(), F_DUPFD_CLOEXEC, 0));
    if (!run->filesystems.back().valid()) return errno;
  }
  run->outcomes.assign(filesystems.size(), 0);
  // One more than the threads: nothing is complete before all of them have been started.
  run->left = filesystems.size() + 1;
  run_ = run;
  for (std::size_t i = 0; i < filesystems.size(); ++i) {
    try {
      std::thread([run, i] { work(*run, i); }).detach();
    } catch (const std::system_error&) {
      // No thread to be had: one after the other then, on this one.
      work(*run, i);
    }
  }
  if (run->left.fetch_sub(1) == 1) {
    const std::uint64_t one = 1;
    (void)!::write(done_.get(), &one, sizeof one);
  }
  return 0;
}

FsReply Fanout::take(int harmless) {
  std::uint64_t ignored = 0;
  (void)!::read(done_.get(), &ignored, sizeof ignored);
  FsReply reply;
  const std::shared_ptr<Run> run = std::move(run_);
  run_ = nullptr;
  for (std::size_t i = 0; i < run->outcomes.size(); ++i) {
    const int outcome = run->outcomes[i];
    if (outcome == 0) ++reply.count;
    if (outcome == 0 || outcome == harmless || reply.error_number != 0) continue;
    reply.error_number = outcome;
    reply.which = static_cast<std::uint32_t>(i);
  }
  return reply;
}

}  // namespace holdfast::fs
