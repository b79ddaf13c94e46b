// SPDX-License-Identifier: MIT
#include "bridge/requests.h"

#include <unistd.h>

#include <array>
#include <thread>
#include <utility>

#include "base/uninterrupted.h"

namespace holdfast::host::libvirt {

namespace {

// Beyond this it is no request of ours.
constexpr std::size_t kLineLimit = std::size_t{4} << 20U;
// How long what must be done may take after the driver is gone. Somebody else goes on then.
constexpr unsigned kLastSeconds = 60;

}  // namespace

Requests::Requests(int fd, std::function<bool(const std::string&)> must_be_done)
    : fd_(fd), must_be_done_(std::move(must_be_done)) {
  std::thread([this] { read(); }).detach();
}

std::optional<std::string> Requests::next() {
  std::unique_lock lock(mutex_);
  if (ended_ && taken_ >= owed_) return std::nullopt;
  changed_.wait(lock, [&] { return ended_ || !lines_.empty(); });
  if (lines_.empty()) return std::nullopt;
  std::string line = std::move(lines_.front());
  lines_.pop_front();
  ++taken_;
  return line;
}

void Requests::read() {
  std::string buffer;
  std::array<char, 65536> piece{};
  for (;;) {
    const ssize_t count =
        base::uninterrupted([&] { return ::read(fd_, piece.data(), piece.size()); });
    if (count <= 0 || buffer.size() > kLineLimit) return end();
    buffer.append(piece.data(), static_cast<std::size_t>(count));
    std::size_t begin = 0;
    for (;;) {
      const std::size_t found = buffer.find('\n', begin);
      if (found == std::string::npos) break;
      take(buffer.substr(begin, found - begin));
      begin = found + 1;
    }
    buffer.erase(0, begin);
  }
}

void Requests::take(std::string line) {
  const std::lock_guard lock(mutex_);
  const bool owed = must_be_done_(line);
  lines_.push_back(std::move(line));
  if (owed) owed_ = taken_ + lines_.size();
  changed_.notify_one();
}

void Requests::end() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  // The last line taken may still be under way.
  if (taken_ > owed_ || owed_ == 0) ::_exit(0);
  (void)::alarm(kLastSeconds);
  changed_.notify_one();
}

}  // namespace holdfast::host::libvirt
