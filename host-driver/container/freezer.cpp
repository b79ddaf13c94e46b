// SPDX-License-Identifier: MIT
#include "container/freezer.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/file.h"
#include "base/text.h"
#include "base/uninterrupted.h"
#include "base/unique_fd.h"

namespace holdfast::host::container {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

constexpr std::size_t kLimit = 4096;

Error failed(int problem, const std::string& doing, const std::string& directory) {
  // Of a control group that is removed while its files are open.
  if (problem == ENODEV) problem = ENOENT;
  return base::errno_error(problem, "unable to " + doing + " '" + base::printable(directory) + "'");
}

// What the open cgroup.events says now.
Result<bool> frozen_in(int events, const std::string& directory) {
  std::array<char, kLimit> buffer{};
  const ssize_t count =
      base::uninterrupted([&] { return ::pread(events, buffer.data(), buffer.size(), 0); });
  if (count < 0) return failed(errno, "look at the control group", directory);
  const std::string_view text(buffer.data(), static_cast<std::size_t>(count));
  if (text.find("frozen 1") != std::string_view::npos) return true;
  if (text.find("frozen 0") != std::string_view::npos) return false;
  return Error(ErrorCode::kUnsupported, "the control group '" + base::printable(directory) +
                                            "' does not tell whether it is frozen")
      .with_hint("Linux knows that from 5.2 on");
}

}  // namespace

Result<bool> Freezer::is_frozen() const {
  const base::UniqueFd events(
      ::open((directory_ + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC));
  if (!events.valid()) return failed(errno, "look at the control group", directory_);
  return frozen_in(events.get(), directory_);
}

Result<bool> Freezer::is_asked() const {
  const auto text = base::read_file(directory_ + "/cgroup.freeze", kLimit);
  if (!text) return text.error();
  return base::trimmed(*text) == "1";
}

Result<void> Freezer::ask_for(bool frozen, Deadline deadline) const {
  const std::string doing = frozen ? "freeze the control group" : "thaw the control group";
  const base::UniqueFd events(
      ::open((directory_ + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC));
  const base::UniqueFd freeze(
      ::open((directory_ + "/cgroup.freeze").c_str(), O_WRONLY | O_CLOEXEC));
  if (!events.valid() || !freeze.valid()) return failed(errno, doing, directory_);
  if (base::uninterrupted([&] { return ::write(freeze.get(), frozen ? "1" : "0", 1); }) != 1) {
    return failed(errno, doing, directory_);
  }
  for (;;) {
    const auto now = frozen_in(events.get(), directory_);
    if (!now) return now.error();
    if (*now == frozen) return {};
    pollfd watched{events.get(), POLLPRI, 0};
    if (deadline.passed() || ::poll(&watched, 1, deadline.poll_timeout()) == 0) {
      return Error(ErrorCode::kTimedOut,
                   "unable to " + doing + " '" + base::printable(directory_) + "' in time");
    }
  }
}

Result<void> Freezer::freeze(Deadline deadline) const {
  return ask_for(true, deadline);
}

Result<void> Freezer::thaw(Deadline deadline) const {
  auto thawed = ask_for(false, deadline);
  if (!thawed && thawed.error().code() == ErrorCode::kNotFound) return {};
  return thawed;
}

}  // namespace holdfast::host::container
