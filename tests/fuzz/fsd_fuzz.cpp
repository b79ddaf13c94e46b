// SPDX-License-Identifier: MIT
//
// The messages of holdfast-fsd (agent/fs), to a real server on a socket. The input is a sequence of
// messages: one byte that says of which shape, then what that shape needs.
//
// Paths are led below a directory of the target's own: it is the server's rules that are tested
// here, not the machine's filesystems.
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <thread>

#include "base/uninterrupted.h"
#include "fs/fs_protocol.h"
#include "fs/fs_server.h"
#include "fuzz.h"
#include "support/temporary_directory.h"

namespace holdfast::fuzz {

namespace {

using fs::FsOp;
using fs::FsReply;
using fs::FsRequest;

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  require(path.size() < sizeof address.sun_path, "the path fits");
  std::copy(path.begin(), path.end(), std::begin(address.sun_path));
  return address;
}

base::UniqueFd make_socket() {
  return base::UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
}

class Server {
 public:
  Server() {
    const sockaddr_un address = address_of(path_);
    base::UniqueFd listener = make_socket();
    require(
        ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0,
        "the socket can be bound");
    require(::listen(listener.get(), 4) == 0, "it can be listened on");
    server_.emplace(std::move(listener), ::getuid());
    for (const char* name : {"a", "b"})
      std::filesystem::create_directory(directory_.file(name));
    thread_ = std::jthread([this] { require(server_->run(stop_.get()).has_value(), "it runs"); });
  }
  ~Server() {
    const std::uint64_t one = 1;
    (void)!::write(stop_.get(), &one, sizeof one);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] base::UniqueFd connect() const {
    const sockaddr_un address = address_of(path_);
    base::UniqueFd client = make_socket();
    // libFuzzer watches the time of an input with SIGALRM, which ends a call that waits.
    require(base::uninterrupted([&] {
              return ::connect(client.get(), reinterpret_cast<const sockaddr*>(&address),
                               sizeof address);
            }) == 0,
            "the server accepts");
    return client;
  }
  [[nodiscard]] const std::string& root() const { return directory_.path(); }

 private:
  support::TemporaryDirectory directory_;
  const std::string path_ = directory_.file("fs.sock");
  const base::UniqueFd stop_{::eventfd(0, EFD_CLOEXEC)};
  std::optional<fs::FsServer> server_;
  std::jthread thread_;
};

bool send_to(const base::UniqueFd& client, const void* data, std::size_t size) {
  return base::uninterrupted([&] { return ::send(client.get(), data, size, MSG_NOSIGNAL); }) >= 0;
}

// The reply, or nothing if the server hung up.
std::optional<FsReply> reply_on(const base::UniqueFd& client) {
  FsReply reply;
  const ssize_t count =
      base::uninterrupted([&] { return ::recv(client.get(), &reply, sizeof reply, MSG_TRUNC); });
  if (count <= 0) return std::nullopt;
  require(count == static_cast<ssize_t>(sizeof reply), "a reply has its size");
  require(reply.version == fs::kFsVersion, "and its version");
  require(reply.count <= fs::kFsMost && reply.which <= fs::kFsMost, "and counts what there is");
  return reply;
}

std::optional<FsReply> ask(const base::UniqueFd& client, const void* data, std::size_t size) {
  return send_to(client, data, size) ? reply_on(client) : std::nullopt;
}

// Nothing is ever frozen here: who waits for that hears of the set's end, or that there is none.
void await_freeze(const Server& server, const base::UniqueFd& client, const FsRequest& request) {
  const base::UniqueFd waiting = server.connect();
  require(send_to(waiting, &request, sizeof request), "it can be waited for");
  const FsRequest close;
  require(ask(client, &close, sizeof close).has_value(), "others are served meanwhile");
  const auto reply = reply_on(waiting);
  require(reply && (reply->error_number == ECANCELED || reply->error_number == EBADF),
          "no freeze is seen where there is none");
}

FsRequest request_of(Bytes& bytes, const std::string& root) {
  FsRequest request;
  request.op = static_cast<FsOp>(bytes.byte());
  request.value = bytes.byte() % 2 != 0 ? bytes.number() : bytes.byte();
  if (request.op != FsOp::kOpen) return request;
  const std::string name = bytes.text();
  const bool leads_out = name.find("..") != std::string::npos;
  // Relative, unended and absolute ones: only the last is ever opened.
  std::string path;
  if (name.starts_with('/') || name.empty()) path = root;
  path.append(leads_out ? "/a" : name);
  std::copy_n(path.begin(), std::min(path.size(), request.path.size()), request.path.begin());
  if (request.value == 7) request.path.fill('x');
  return request;
}

}  // namespace

void check(std::string_view input) {
  static const Server kServer;
  Bytes bytes(input);
  std::size_t opened = 0;
  base::UniqueFd client = kServer.connect();
  while (!bytes.empty()) {
    if (bytes.byte() % 4 == 0) {
      // Not a message: of another size, or of another version.
      std::string text = bytes.text();
      if (text.empty()) text.push_back('x');
      if (bytes.byte() % 2 != 0) text.resize(sizeof(FsRequest), '\x7f');
      require(!ask(client, text.data(), text.size()), "what is no message ends the connection");
      client = kServer.connect();
      continue;
    }
    const FsRequest request = request_of(bytes, kServer.root());
    if (request.op == FsOp::kAwaitFreeze) {
      await_freeze(kServer, client, request);
      opened = 0;
      continue;
    }
    const auto reply = ask(client, &request, sizeof request);
    const bool known = request.op >= FsOp::kOpen && request.op <= FsOp::kClose;
    require(reply.has_value() == known, "every request that exists has a reply, and no other");
    if (!reply) {
      client = kServer.connect();
      continue;
    }
    if (request.op == FsOp::kOpen && reply->error_number == 0) {
      require(request.path.front() == '/' && request.path.back() == '\0', "only such are opened");
      require(reply->count == ++opened, "it counts them");
    }
    if (request.op == FsOp::kArm) {
      require((reply->error_number == 0) == (request.value <= fs::kArmMostMs), "an hour at most");
    }
    if (request.op == FsOp::kSync && reply->error_number == 0) {
      require(reply->count == opened, "all are flushed");
    }
    if (request.op == FsOp::kThaw) require(reply->count == 0, "nothing was frozen");
    if (request.op == FsOp::kClose) opened = 0;
  }
  const FsRequest close;
  const auto closed = ask(client, &close, sizeof close);
  require(closed && closed->error_number == 0, "it is there for the next one");
}

}  // namespace holdfast::fuzz
