// SPDX-License-Identifier: MIT
#include "snapshot/btrfs/send.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <thread>

#include "base/file.h"
#include "base/text.h"
#include "base/unique_fd.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;
using base::UniqueFd;

namespace {

std::vector<std::string> send_command(const SendSpec& spec) {
  std::vector<std::string> argv{"btrfs", "send", "--quiet"};
  if (!spec.parent.empty()) argv.insert(argv.end(), {"-p", spec.parent});
  argv.push_back(spec.snapshot);
  return argv;
}

Result<void> flush_filesystem(const std::string& directory) {
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.valid() && ::syncfs(fd.get()) == 0) return {};
  return base::errno_error(errno, "unable to flush " + base::in_quotes(directory));
}

}  // namespace

Result<std::uint64_t> send_snapshot(base::ProcessRunner& processes, const SendSpec& spec,
                                    Deadline deadline, const std::stop_token& stop) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    return base::errno_error(errno, "unable to make a pipe");
  UniqueFd from(ends[0]);
  UniqueFd into(ends[1]);
  std::stop_source given_up;
  const std::stop_callback passed_on(stop, [&] { given_up.request_stop(); });
  base::ProcessOutcome received;
  base::ProcessOutcome sent;
  std::uint64_t bytes = 0;
  bool cut_off = false;
  {
    std::jthread receiver([&] {
      // `-e`: a stream without an end is an error.
      received = processes.run({.argv = {"btrfs", "receive", "-e", "-f",
                                         "/proc/self/fd/" + std::to_string(from.get()), spec.into},
                                .environment = {},
                                .deadline = deadline,
                                .stop = given_up.get_token(),
                                .inherited = from.get()});
      // Whoever still writes is told.
      from.reset();
    });
    sent = processes.run({.argv = send_command(spec),
                          .environment = {},
                          .deadline = deadline,
                          .stop = given_up.get_token(),
                          .on_output = [&](std::string_view piece) {
                            bytes += piece.size();
                            cut_off = cut_off || !base::write_all(into.get(), piece, "the pipe");
                            if (cut_off) given_up.request_stop();
                          }});
    if (!sent.succeeded()) given_up.request_stop();
    into.reset();
  }
  if (!sent.succeeded() && !cut_off) return sent.as_error("btrfs send");
  if (!received.succeeded()) return received.as_error("btrfs receive");
  if (!sent.succeeded()) return sent.as_error("btrfs send");
  if (auto flushed = flush_filesystem(spec.into); !flushed) return std::move(flushed).error();
  return bytes;
}

}  // namespace holdfast::host::snapshot
