// SPDX-License-Identifier: MIT
//
// One connection to a server that speaks RESP. hiredis writes commands and reads replies; the
// socket is ours, so that every step ends by a deadline, and so that it is never written to with a
// signal as the answer. It never reconnects by itself.
//
// Replies come in the order of the commands, so several commands may be under way: call() waits for
// its own reply and throws away those before it that nobody has fetched.
//
// It is the base of RedisSession, which alone knows commands.
//
// Threads: one owner thread; shut_down() from any. Looking up a host's name blocks.
#pragma once

#include <hiredis/hiredis.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "base/waker.h"

namespace holdfast::redis {

struct ReaderFreer {
  void operator()(redisReader* reader) const { redisReaderFree(reader); }
};

// A reply that is not an error: the text of a string, or a number.
struct Reply {
  std::string text;
  std::int64_t number = 0;
};

// By when, and who may end it earlier. The clean-up after an interrupt has to run in spite of it:
// it is `deaf`, and its deadlines are short.
struct Patience {
  base::Deadline deadline;
  std::stop_token stop = {};
  bool deaf = false;
};

// Where a server listens.
struct Endpoint {
  std::string socket = {};  // else host and port
  std::string host = {};
  std::string port = {};

  // "/run/redis/redis-server.sock", "127.0.0.1:6379": for messages.
  [[nodiscard]] std::string text() const;
};

class RedisConnection {
 public:
  // The waker is borrowed; it ends every wait of this connection.
  explicit RedisConnection(base::Waker& waker) : waker_(waker) {}
  RedisConnection(const RedisConnection&) = delete;
  RedisConnection& operator=(const RedisConnection&) = delete;
  ~RedisConnection() { close(); }

  [[nodiscard]] base::Result<void> open(const Endpoint& endpoint, const Patience& patience);
  // Open, and the stream of replies is in order; some may still be due.
  [[nodiscard]] bool usable() const { return fd_.valid() && !broken_; }
  // Are replies due that nobody has fetched?
  [[nodiscard]] bool awaits_reply() const { return due_ > 0; }
  // Has either side closed it? Looks at the socket only.
  [[nodiscard]] bool hung_up() const;
  // Is there something to be read, or nothing any more?
  [[nodiscard]] bool readable() const;
  // For poll(2); -1 while closed.
  [[nodiscard]] int fd() const { return fd_.get(); }

  // What has been sent stays with the server, which works it off whenever it goes on.
  void close();
  // shutdown(2): what is going on fails.
  void shut_down();

 protected:
  using Words = std::initializer_list<std::string_view>;

  [[nodiscard]] base::Result<void> send(Words words, const Patience& patience);
  // The next reply that is due. The server's own error is kPermission, kBusy, kUnsupported or
  // kRefused; after any other the connection is not usable, except after kTimedOut and kCancelled.
  [[nodiscard]] base::Result<Reply> receive(const Patience& patience);
  // send(), and receive() until the reply to it.
  [[nodiscard]] base::Result<Reply> call(Words words, const Patience& patience);
  // Waits for the descriptor to become readable.
  [[nodiscard]] base::Result<void> wait(short events, const Patience& patience);

 private:
  [[nodiscard]] base::Result<void> connect_tcp(const Endpoint& endpoint, const Patience& patience);
  [[nodiscard]] base::Result<void> write(std::string_view bytes, const Patience& patience);
  [[nodiscard]] base::Result<void> read_some(const Patience& patience);
  void adopt(base::UniqueFd fd);
  [[nodiscard]] base::Error broken(base::Error error);

  base::Waker& waker_;
  std::unique_ptr<redisReader, ReaderFreer> reader_;
  bool broken_ = false;
  std::size_t due_ = 0;
  std::size_t unread_ = 0;  // bytes read towards the present reply
  // Guards fd_ between shut_down() and the owner's close: the number could be somebody else's
  // descriptor a moment later.
  mutable std::mutex fd_mutex_;
  base::UniqueFd fd_;
};

// The code for a server's error reply, by its first word.
[[nodiscard]] base::ErrorCode code_of_reply(std::string_view message);

}  // namespace holdfast::redis
