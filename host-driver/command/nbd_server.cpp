// SPDX-License-Identifier: MIT
#include "command/nbd_server.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <thread>

#include "base/json_codec.h"
#include "base/text.h"
#include "base/unix_socket.h"

namespace holdfast::host::command {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

constexpr base::Millis kGetsReady{30000};
constexpr std::string_view kJson = "json:{";

// The first bytes of the fixed newstyle negotiation, and a client's leave of it: flags, then
// NBD_OPT_ABORT without data (NBD: doc/proto.md).
constexpr std::string_view kGreeting("NBDMAGICIHAVEOPT", 16);
constexpr std::string_view kLeave("\0\0\0\3IHAVEOPT\0\0\0\2\0\0\0\0", 20);

// All images are open and exported before the first client is greeted.
Result<void> await_greeting(const std::string& path, Deadline deadline) {
  const auto fd = base::connect_unix(path, deadline);
  if (!fd) return fd.error();
  std::string greeting;
  while (greeting.size() < kGreeting.size()) {
    pollfd watched{fd->get(), POLLIN, 0};
    const int ready = ::poll(&watched, 1, deadline.poll_timeout());
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return Error(ErrorCode::kTimedOut, "it does not get ready");
    std::array<char, 64> piece{};
    const ssize_t count = ::recv(fd->get(), piece.data(), piece.size(), 0);
    if (count <= 0) return Error(ErrorCode::kUnreachable, "it turned us away");
    greeting.append(piece.data(), static_cast<std::size_t>(count));
  }
  if (!greeting.starts_with(kGreeting)) {
    return Error(ErrorCode::kProtocol, "it does not greet as an NBD server");
  }
  return base::send_all(fd->get(), kLeave, deadline);
}

}  // namespace

Result<std::vector<std::string>> server_command(const std::string& program,
                                                const std::vector<Exported>& images, int socket) {
  std::vector<std::string> words{program, "--nbd-server",
                                 "addr.type=fd,addr.str=" + std::to_string(socket)};
  int number = 0;
  for (const Exported& exported : images) {
    auto source = image::source_of(exported.chain);
    if (!source) return std::move(source).error();
    const std::string node = "disk" + std::to_string(number++);
    words.emplace_back("--blockdev");
    words.push_back(R"({"node-name":")" + node + R"(","read-only":true,)" +
                    source->substr(kJson.size()));
    words.emplace_back("--export");
    words.push_back("type=nbd,id=" + node + "-export,node-name=" + node + ",name=" + exported.name +
                    ",writable=off");
  }
  return words;
}

Result<void> serve(base::ProcessRunner& processes, const std::string& program,
                   const std::vector<Exported>& images, PrivateSocket& socket,
                   const std::stop_token& stop, const std::function<void()>& ready) {
  auto words = server_command(program, images, socket.fd());
  if (!words) return std::move(words).error();
  std::stop_source end;
  const std::stop_callback on_stop(stop, [&end] { end.request_stop(); });
  std::optional<Error> unready;
  std::thread announcer([&] {
    const auto greeted = await_greeting(socket.path(), Deadline::in(kGetsReady));
    if (greeted) return ready();
    unready = greeted.error();
    end.request_stop();
  });
  const base::ProcessOutcome outcome = processes.run({.argv = std::move(*words),
                                                      .deadline = Deadline(base::MonoTime::max()),
                                                      .stop = end.get_token(),
                                                      .inherited = socket.fd()});
  // Ends the announcer's wait if the server never came up.
  socket.close();
  announcer.join();
  if (outcome.ending == base::ProcessOutcome::Ending::kCancelled) {
    if (!unready || stop.stop_requested()) return {};
    return base::wrap(std::move(*unready),
                      "unable to serve with '" + base::printable(program) + "'");
  }
  Error error = outcome.as_error(program);
  if (error.code() != ErrorCode::kNotFound) return error;
  return std::move(error).with_hint("install the package qemu-system-common");
}

std::string uri_of(const std::string& socket_path, const std::string& name) {
  std::string path;
  for (const char c : socket_path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("/._-").find(c) != std::string_view::npos;
    if (plain) {
      path += c;
      continue;
    }
    char escaped[4];
    std::snprintf(escaped, sizeof escaped, "%%%02X", static_cast<unsigned char>(c));
    path += escaped;
  }
  return "nbd+unix:///" + name + "?socket=" + path;
}

}  // namespace holdfast::host::command
