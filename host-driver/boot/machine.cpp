// SPDX-License-Identifier: MIT
#include "boot/machine.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include "base/look_until.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "run/background.h"

namespace holdfast::host::boot {

namespace {

constexpr std::size_t kConsole = 1500;
constexpr std::size_t kShown = 600;
constexpr base::Millis kSoon{1000};
constexpr base::Millis kLook{20};

// The files that it writes to are overlays: no more than this of a guest that writes and writes.
void limit(int pid, std::uint64_t file_limit) {
  const rlimit size{file_limit, file_limit};
  (void)::prlimit(pid, RLIMIT_FSIZE, &size, nullptr);
  const rlimit none{0, 0};
  (void)::prlimit(pid, RLIMIT_CORE, &none, nullptr);
  const std::string path = "/proc/" + std::to_string(pid) + "/oom_score_adj";
  const base::UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (file.valid()) (void)!::write(file.get(), "1000", 4);
}

}  // namespace

Machine::Machine(base::ProcessRunner& processes, std::vector<std::string> words,
                 std::uint64_t file_limit, base::Deadline deadline) {
  thread_ = std::thread([this, &processes, file_limit, deadline, words = std::move(words)] {
    const run::Background background;
    outcome_ = processes.run({.argv = words,
                              .deadline = deadline,
                              .stop = stop_.get_token(),
                              .on_start = [&](int pid) { limit(pid, file_limit); },
                              .on_output = [this](std::string_view piece) { take(piece); }});
    ended_ = true;
  });
}

Machine::~Machine() {
  (void)end();
}

bool Machine::ends_soon() const {
  return base::look_until(base::Deadline::in(kSoon), kLook, [this] { return ended(); });
}

const base::ProcessOutcome& Machine::end() {
  stop_.request_stop();
  if (thread_.joinable()) thread_.join();
  return outcome_;
}

void Machine::take(std::string_view piece) {
  const std::scoped_lock lock(mutex_);
  console_.append(piece);
  if (console_.size() > kConsole) console_.erase(0, console_.size() - kConsole);
}

std::string Machine::console() const {
  const std::scoped_lock lock(mutex_);
  std::string text;
  for (const char c : console_) {
    if (c == '\r') continue;
    text += c == '\n' ? ' ' : c;
  }
  const std::string_view last = base::trimmed(text);
  return base::printable(last.substr(last.size() - std::min(last.size(), kShown)), 2 * kShown);
}

}  // namespace holdfast::host::boot
