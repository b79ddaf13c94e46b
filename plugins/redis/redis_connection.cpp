// SPDX-License-Identifier: MIT
#include "redis/redis_connection.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>  // explicit_bzero: glibc, not std
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/text.h"
#include "base/unix_socket.h"

namespace holdfast::redis {

namespace {

using base::Error;
using base::ErrorCode;
using base::Result;

// INFO, the longest reply that is asked for, has a few KiB.
constexpr std::size_t kReplyLimit = std::size_t{1} << 20U;

struct ReplyFreer {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
struct AddressesFreer {
  void operator()(addrinfo* addresses) const { ::freeaddrinfo(addresses); }
};

// A command as it goes over the wire. It may hold a password, so its memory is wiped.
class Command {
 public:
  explicit Command(std::initializer_list<std::string_view> words) {
    std::vector<const char*> texts;
    std::vector<std::size_t> sizes;
    for (const std::string_view word : words) {
      texts.push_back(word.data());
      sizes.push_back(word.size());
    }
    const auto size =
        redisFormatCommandArgv(&text_, static_cast<int>(texts.size()), texts.data(), sizes.data());
    size_ = size < 0 ? 0 : static_cast<std::size_t>(size);
  }
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;
  ~Command() {
    if (text_ == nullptr) return;
    explicit_bzero(text_, size_);
    redisFreeCommand(text_);
  }

  [[nodiscard]] std::string_view bytes() const { return {text_, size_}; }

 private:
  char* text_ = nullptr;
  std::size_t size_ = 0;
};

// Nothing that is asked for is answered with an array, and hiredis makes room for as many elements
// as its first line announces: 16 GiB for a dozen bytes. So there are none. The type of the count
// differs between its versions.
template <typename Count>
void* no_array(const redisReadTask* /*task*/, Count /*elements*/) {
  return nullptr;
}

Error not_asked_for() {
  return {ErrorCode::kProtocol, "a reply of a kind that was not asked for"};
}

redisReader* make_reader() {
  redisReader* reader = redisReaderCreate();
  if (reader == nullptr) return nullptr;
  static redisReplyObjectFunctions functions = [&] {
    redisReplyObjectFunctions without_arrays = *reader->fn;
    without_arrays.createArray = no_array;
    return without_arrays;
  }();
  reader->fn = &functions;
  return reader;
}

}  // namespace

std::string Endpoint::text() const {
  return socket.empty() ? host + ":" + port : socket;
}

ErrorCode code_of_reply(std::string_view message) {
  const std::string_view word = message.substr(0, message.find(' '));
  for (const char* refusal : {"NOPERM", "NOAUTH", "WRONGPASS", "DENIED"}) {
    if (word == refusal) return ErrorCode::kPermission;
  }
  for (const char* busy : {"BUSY", "LOADING", "MASTERDOWN", "TRYAGAIN"}) {
    if (word == busy) return ErrorCode::kBusy;
  }
  if (message.find("unknown command") != std::string_view::npos ||
      message.find("nknown subcommand") != std::string_view::npos) {
    return ErrorCode::kUnsupported;
  }
  return ErrorCode::kRefused;
}

void RedisConnection::adopt(base::UniqueFd fd) {
  const std::lock_guard lock(fd_mutex_);
  fd_ = std::move(fd);
}

Error RedisConnection::broken(Error error) {
  broken_ = true;
  return error;
}

Result<void> RedisConnection::wait(short events, const Patience& patience) {
  if (!patience.deaf) return waker_.wait(fd_.get(), events, patience.deadline, patience.stop);
  base::Waker unheard;
  return unheard.wait(fd_.get(), events, patience.deadline, {});
}

Result<void> RedisConnection::open(const Endpoint& endpoint, const Patience& patience) {
  close();
  broken_ = false;
  due_ = 0;
  unread_ = 0;
  reader_.reset(make_reader());
  if (reader_ == nullptr) return Error(ErrorCode::kInternal, "out of memory");
  if (endpoint.socket.empty()) {
    auto connected = connect_tcp(endpoint, patience);
    if (!connected) close();
    return connected;
  }
  auto fd = base::connect_unix(endpoint.socket, patience.deadline);
  if (!fd) {
    const ErrorCode code = fd.error().code();
    // A socket that is not there, or that nobody listens on, is a server that does not run.
    return code == ErrorCode::kPermission || code == ErrorCode::kTimedOut
               ? std::move(fd).error()
               : Error(ErrorCode::kUnreachable, fd.error().text());
  }
  adopt(std::move(*fd));
  return {};
}

Result<void> RedisConnection::connect_tcp(const Endpoint& endpoint, const Patience& patience) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failure = ::getaddrinfo(endpoint.host.c_str(), endpoint.port.c_str(), &hints, &found);
  if (failure != 0) {
    return Error(ErrorCode::kUnreachable,
                 "unable to look up '" + endpoint.host + "': " + ::gai_strerror(failure));
  }
  const std::unique_ptr<addrinfo, AddressesFreer> addresses(found);
  Error last(ErrorCode::kUnreachable, "no address");
  for (const addrinfo* address = addresses.get(); address != nullptr; address = address->ai_next) {
    adopt(base::UniqueFd(::socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                                  address->ai_protocol)));
    int problem = errno;
    if (fd_.valid()) {
      problem = ::connect(fd_.get(), address->ai_addr, address->ai_addrlen) == 0 ? 0 : errno;
    }
    if (problem == EINPROGRESS) {
      if (auto ready = wait(POLLOUT, patience); !ready) return ready;
      socklen_t size = sizeof problem;
      (void)::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &problem, &size);
    }
    if (problem == 0) {
      const int on = 1;
      (void)::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      return {};
    }
    last = Error(ErrorCode::kUnreachable, base::errno_error(problem, "unable to connect").text());
  }
  return last;
}

bool RedisConnection::hung_up() const {
  pollfd watched{fd_.get(), POLLRDHUP, 0};
  return ::poll(&watched, 1, 0) > 0 && (watched.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

bool RedisConnection::readable() const {
  pollfd watched{fd_.get(), POLLIN | POLLRDHUP, 0};
  return ::poll(&watched, 1, 0) > 0;
}

void RedisConnection::close() {
  adopt(base::UniqueFd());
  due_ = 0;
}

void RedisConnection::shut_down() {
  const std::lock_guard lock(fd_mutex_);
  if (fd_.valid()) (void)::shutdown(fd_.get(), SHUT_RDWR);
}

Result<void> RedisConnection::write(std::string_view bytes, const Patience& patience) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      // Half a command is nothing that could be continued later.
      if (auto ready = wait(POLLOUT, patience); !ready) return broken(std::move(ready).error());
    } else if (errno != EINTR) {
      return broken({ErrorCode::kUnreachable, base::errno_error(errno, "unable to send").text()});
    }
  }
  return {};
}

Result<void> RedisConnection::send(Words words, const Patience& patience) {
  if (!usable()) return Error(ErrorCode::kUnreachable, "the session is closed");
  const Command command(words);
  if (command.bytes().empty()) return Error(ErrorCode::kInternal, "out of memory");
  auto sent = write(command.bytes(), patience);
  if (sent) ++due_;
  return sent;
}

Result<void> RedisConnection::read_some(const Patience& patience) {
  std::array<char, 16384> piece;  // recv(2) fills it
  for (;;) {
    const ssize_t count = ::recv(fd_.get(), piece.data(), piece.size(), 0);
    if (count == 0) {
      return broken({ErrorCode::kUnreachable, "the server has closed the session"});
    }
    if (count > 0) {
      unread_ += static_cast<std::size_t>(count);
      if (unread_ > kReplyLimit) return broken({ErrorCode::kTooLarge, "the reply is too long"});
      if (redisReaderFeed(reader_.get(), piece.data(), static_cast<std::size_t>(count)) !=
          REDIS_OK) {
        return broken({ErrorCode::kProtocol, base::printable(reader_->errstr)});
      }
      return {};
    }
    if (errno == EAGAIN) {
      if (auto ready = wait(POLLIN, patience); !ready) return ready;
    } else if (errno != EINTR) {
      return broken(
          {ErrorCode::kUnreachable, base::errno_error(errno, "unable to receive").text()});
    }
  }
}

Result<Reply> RedisConnection::receive(const Patience& patience) {
  if (!usable()) return Error(ErrorCode::kUnreachable, "the session is closed");
  void* raw = nullptr;
  for (;;) {
    if (redisReaderGetReply(reader_.get(), &raw) != REDIS_OK) {
      // What no_array() leaves: memory of the size of a reply that is asked for does not run out.
      return broken(reader_->err == REDIS_ERR_OOM
                        ? not_asked_for()
                        : Error(ErrorCode::kProtocol, base::printable(reader_->errstr)));
    }
    if (raw != nullptr) break;
    if (auto read = read_some(patience); !read) return std::move(read).error();
  }
  const std::unique_ptr<redisReply, ReplyFreer> reply(static_cast<redisReply*>(raw));
  unread_ = 0;
  if (due_ == 0) return broken({ErrorCode::kProtocol, "the server speaks without being asked"});
  --due_;
  switch (reply->type) {
    case REDIS_REPLY_ERROR: {
      const std::string message = base::printable({reply->str, reply->len});
      return Error(code_of_reply(message), message);
    }
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_STRING:
      return Reply{std::string(reply->str, reply->len), 0};
    case REDIS_REPLY_INTEGER:
      return Reply{{}, reply->integer};
    default:
      return broken(not_asked_for());
  }
}

Result<Reply> RedisConnection::call(Words words, const Patience& patience) {
  const auto start = std::chrono::steady_clock::now();
  if (auto sent = send(words, patience); !sent) return std::move(sent).error();
  for (;;) {
    const std::size_t due = due_;
    auto reply = receive(patience);
    if (due_ < due && due_ > 0) continue;  // somebody else's
    if (reply || reply.error().code() != ErrorCode::kTimedOut) return reply;
    const auto waited = std::chrono::round<base::Millis>(std::chrono::steady_clock::now() - start);
    return Error(ErrorCode::kTimedOut, "timed out after " + std::to_string(waited.count()) + " ms");
  }
}

}  // namespace holdfast::redis
