// SPDX-License-Identifier: MIT
//
// responder CONTROL_SOCKET PORT PID...: asks holdfastd for its status once a second, and tells the
// host over a virtio port what it said, how long that took, and how many pages each process PID has
// had to read in from a disk so far. A line of PORT that says "drop" empties the page cache.
//
// For a guest whose every filesystem is frozen, where nothing can be started any more: started
// before, from a tmpfs, statically linked and locked in memory, it needs no disk.
//
//   <monotonic ns> <microseconds> <major faults of the first>,<of the second>... <the answer>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "base/control_protocol.h"
#include "base/file.h"
#include "base/unique_fd.h"
#include "base/unix_socket.h"

namespace {

using holdfast::base::Deadline;
using holdfast::base::Result;
using holdfast::base::UniqueFd;
using holdfast::base::Verb;
using namespace std::chrono_literals;

// The status line and the document behind it, joined; or what went wrong.
Result<std::string> ask(const std::string& socket) {
  const Deadline deadline = Deadline::in(10s);
  auto fd = holdfast::base::connect_unix(socket, deadline);
  if (!fd) return std::move(fd).error();
  const std::string request = holdfast::base::format_request(Verb::kStatus);
  if (auto sent = holdfast::base::send_all(fd->get(), request, deadline); !sent) {
    return std::move(sent).error();
  }
  auto answer =
      holdfast::base::receive_all(fd->get(), {}, holdfast::base::kReplyDocumentLimit, deadline);
  if (!answer) return std::move(answer).error();
  for (char& letter : *answer) {
    if (letter == '\n') letter = ' ';
  }
  return answer;
}

// Field 12 of /proc/PID/stat (proc(5)); "-" when the process has gone.
std::string major_faults(const std::string& pid) {
  const auto stat = holdfast::base::read_file("/proc/" + pid + "/stat", 4096);
  if (!stat) return "-";
  // The second field is a name in brackets, and may hold anything.
  std::size_t at = stat->rfind(')');
  for (int field = 2; field < 12 && at != std::string::npos; ++field)
    at = stat->find(' ', at + 1);
  if (at == std::string::npos) return "-";
  return stat->substr(at + 1, stat->find(' ', at + 1) - at - 1);
}

bool wants_drop(int port) {
  std::array<char, 64> text{};
  pollfd readable{port, POLLIN, 0};
  if (::poll(&readable, 1, 1000) <= 0 || (readable.revents & POLLIN) == 0) return false;
  const ssize_t count = ::read(port, text.data(), text.size());
  return count > 0 && std::string_view(text.data(), static_cast<std::size_t>(count)).find("drop") !=
                          std::string_view::npos;
}

void drop_page_cache() {
  const UniqueFd file(::open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC));
  (void)!::write(file.get(), "1\n", 2);
}

int run(const std::string& socket, const char* port_path, const std::vector<std::string>& pids) {
  const UniqueFd port(::open(port_path, O_RDWR | O_CLOEXEC));
  if (!port.valid() || ::mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
    std::perror("responder");
    return 1;
  }
  for (;;) {
    const auto begin = std::chrono::steady_clock::now();
    const auto answer = ask(socket);
    const auto end = std::chrono::steady_clock::now();
    std::string line = std::to_string(begin.time_since_epoch().count()) + " " +
                       std::to_string((end - begin) / 1us) + " ";
    for (const std::string& pid : pids)
      line += (&pid == &pids.front() ? "" : ",") + major_faults(pid);
    line += " " + (answer ? *answer : "error: " + answer.error().one_line()) + "\n";
    if (::write(port.get(), line.data(), line.size()) < 0) return 1;
    // The second's pause, too.
    if (wants_drop(port.get())) drop_page_cache();
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    (void)std::fputs("usage: responder CONTROL_SOCKET PORT PID...\n", stderr);
    return 64;
  }
  return run(argv[1], argv[2], {argv + 3, argv + argc});
}
