// SPDX-License-Identifier: MIT
#include "postgresql/label_keeper.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <exception>
#include <system_error>
#include <utility>

namespace holdfast::postgresql {

namespace {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

Result<void> guarded(const LabelKeeper::Writer& write) {
  try {
    return write();
  } catch (const std::exception& problem) {
    return Error(ErrorCode::kInternal, problem.what());
  }
}

}  // namespace

LabelKeeper::~LabelKeeper() {
  if (thread_.joinable()) thread_.join();
}

Result<void> LabelKeeper::finish(Deadline deadline) {
  if (auto through = waker_.wait(through_.get(), POLLIN, deadline, {}); !through) {
    if (through.error().code() != ErrorCode::kTimedOut) return through;
    return Error(ErrorCode::kTimedOut, "the disk does not answer in time");
  }
  thread_.join();
  return std::exchange(outcome_, Result<void>());
}

Result<void> LabelKeeper::keep(Writer write, Deadline deadline) {
  if (thread_.joinable()) {
    // What came of the earlier one was reported when its deadline passed.
    auto earlier = finish(deadline);
    if (thread_.joinable()) return earlier;
  }
  through_ = base::UniqueFd(::eventfd(0, EFD_CLOEXEC));
  if (!through_.valid()) return base::errno_error(errno, "unable to make an eventfd");
  try {
    thread_ = std::thread([this, write = std::move(write)] {
      outcome_ = guarded(write);
      const std::uint64_t one = 1;
      (void)!::write(through_.get(), &one, sizeof one);
    });
  } catch (const std::system_error& problem) {
    return Error(ErrorCode::kInternal, std::string("unable to start a thread: ") + problem.what());
  }
  return finish(deadline);
}

}  // namespace holdfast::postgresql
