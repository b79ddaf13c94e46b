// SPDX-License-Identifier: MIT
//
// What a Redis or Valkey server answers (plugins/redis): a stream of replies to commands that are
// under way, in whatever pieces it comes, and what INFO and CLIENT LIST say in them. The input is
// the list of commands, one byte each, led by its length; the rest is the stream.
//
// One thread is both sides: the server's pieces lie in the socket before they are asked for, and
// every deadline but the last has passed already, so that nothing ever waits.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/uninterrupted.h"
#include "fuzz.h"
#include "redis/redis_session.h"
#include "support/temporary_directory.h"

namespace holdfast::fuzz {

namespace {

using base::Error;
using base::ErrorCode;
using redis::Patience;
using redis::ServerState;

class Session : public redis::RedisSession {
 public:
  using RedisSession::receive;
  using RedisSession::RedisSession;
  using RedisSession::send;
};

class Listener {
 public:
  Listener() : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    require(path_.size() < sizeof address.sun_path, "the path fits");
    std::copy(path_.begin(), path_.end(), std::begin(address.sun_path));
    require(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0,
            "the socket can be bound");
    require(::listen(fd_.get(), 4) == 0, "it can be listened on");
  }
  [[nodiscard]] base::UniqueFd accept() const {
    return base::UniqueFd(base::uninterrupted(
        [this] { return ::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC); }));
  }
  [[nodiscard]] redis::Endpoint endpoint() const { return {.socket = path_}; }

 private:
  support::TemporaryDirectory directory_;
  const std::string path_ = directory_.file("redis.sock");
  const base::UniqueFd fd_;
};

// A session with a server that says `stream`.
class Talk {
 public:
  Talk(const Listener& listener, std::string_view stream) : stream_(stream) {
    require(session_.open(listener.endpoint(), now_or_never()).has_value(), "it connects");
    server_ = listener.accept();
    require(server_.valid(), "and is accepted");
  }

  Session& session() { return session_; }
  static Patience now_or_never() { return {.deadline = base::Deadline::in(base::Millis{0})}; }

  // The next `count` bytes of the stream.
  void say(std::size_t count) {
    std::string_view piece = stream_.substr(0, count);
    stream_.remove_prefix(piece.size());
    while (!piece.empty()) {
      const auto sent = base::uninterrupted(
          [&] { return ::send(server_.get(), piece.data(), piece.size(), MSG_NOSIGNAL); });
      if (sent < 0) return;  // the other side has closed
      piece.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  // All that is left, and the end.
  void say_the_rest() {
    say(stream_.size());
    (void)::shutdown(server_.get(), SHUT_WR);
  }

 private:
  std::string_view stream_;
  base::Waker waker_;
  Session session_{waker_};
  base::UniqueFd server_;
};

void check_error(const Error& error) {
  require(is_one_safe_line(error.one_line()), "an error is one safe line");
}

// A session is in order after an answer, even one that refuses, and while an answer is due.
void check_result(const base::Result<redis::Reply>& result, bool was_usable, bool usable) {
  if (result) {
    require(usable, "after a reply it can be used");
    return;
  }
  check_error(result.error());
  const ErrorCode code = result.error().code();
  const bool answered = code == ErrorCode::kPermission || code == ErrorCode::kBusy ||
                        code == ErrorCode::kUnsupported || code == ErrorCode::kRefused;
  require(usable == (was_usable && (answered || code == ErrorCode::kTimedOut)),
          "only an answer and a deadline leave a session usable");
}

void check_state(const ServerState& state) {
  for (const std::string& text :
       {state.engine, state.version, state.mode, state.run_id, state.role, state.replication_id}) {
    require(is_one_safe_line(text) && text.size() <= 400, "each text is one safe, short line");
  }
  require(redis::difference(state, state).empty(), "a state does not differ from itself");
  require(redis::at_least(state, 0, 0) || state.version.find('-') != std::string::npos,
          "versions count from 0");
  require(!redis::at_least(state, 100, 0) || redis::at_least(state, 99, 9), "and are in order");
  ServerState moved = state;
  moved.run_id += "x";
  require(!redis::difference(state, moved).empty(), "another run is another server");
  for (const auto& [name, value] : redis::position_of(state))
    require(is_one_safe_line(name) && is_one_safe_line(value), "a position is safe");
}

// One of the session's own calls, as the plugin makes it.
void command(Session& session, std::uint8_t which, const Patience& patience) {
  const bool was_usable = session.usable();
  const auto ends = [&](const auto& result) {
    if (!result) check_error(result.error());
    require(was_usable || !result.has_value(), "a session that is closed does nothing");
  };
  switch (which % 10) {
    case 0: {
      const auto state = session.state(patience);
      ends(state);
      if (state) check_state(*state);
      return;
    }
    case 1:
      return ends(session.is_kept_waiting(7, patience));
    case 2:
      return ends(session.check_control_privileges(true, patience));
    case 3:
      return ends(session.check_announce_privilege(patience));
    case 4:
      return ends(session.save_in_background(patience));
    case 5:
      return ends(session.pause_writes(base::Millis{1000}, patience));
    case 6:
      return ends(session.unpause(patience));
    case 7:
      return ends(session.send_announcement(patience));
    case 8:
      return ends(session.take_announcement(patience));
    default:
      (void)session.await_input(patience);
  }
}

// Whatever is asked for when, and however much of the stream is there by then.
void check_commands(const Listener& listener, std::string_view commands, std::string_view stream) {
  Talk talk(listener, stream);
  for (const char step : commands) {
    const auto byte = static_cast<std::uint8_t>(step);
    // Nothing, some bytes, or some more.
    const std::size_t piece = byte / 10U;
    talk.say(piece * piece);
    command(talk.session(), byte, Talk::now_or_never());
  }
  talk.say_the_rest();
  const Patience patience{.deadline = base::Deadline::in(base::Millis{10'000})};
  command(talk.session(), 0, patience);
}

// What `count` commands under way are answered, if the stream comes in pieces of that size.
std::vector<std::string> answers(const Listener& listener, std::string_view stream,
                                 std::size_t count, std::size_t piece) {
  Talk talk(listener, stream);
  Session& session = talk.session();
  for (std::size_t i = 0; i < count; ++i)
    require(session.send({"PING"}, Talk::now_or_never()).has_value(), "it can be sent");
  std::vector<std::string> all;
  std::size_t said = 0;
  while (all.size() < count && session.usable()) {
    const bool over = said >= stream.size();
    over ? talk.say_the_rest() : talk.say(piece);
    said += piece;
    for (;;) {
      const bool was_usable = session.usable();
      const auto reply = session.receive(Talk::now_or_never());
      check_result(reply, was_usable, session.usable());
      if (!reply && reply.error().code() == ErrorCode::kTimedOut) break;
      all.push_back(reply ? reply->text + "=" + std::to_string(reply->number)
                          : reply.error().one_line());
      if (!session.usable() || all.size() == count) break;
    }
    require(!over || all.size() == count || !session.usable(), "a closed stream has an end");
  }
  require(!session.usable() || session.awaits_reply() == (all.size() < count),
          "as many are due as were sent");
  return all;
}

void check_stream(const Listener& listener, std::string_view stream) {
  constexpr std::size_t kSent = 8;
  const auto at_once = answers(listener, stream, kSent, stream.size() + 1);
  const std::size_t small = stream.size() / 16 + 1;
  require(answers(listener, stream, kSent, small) == at_once, "pieces change nothing");
}

void check_texts(std::string_view text) {
  check_state(redis::parse_info(text));
  require(!redis::shows_kept_waiting(text) || text.find(" cmd=publish") != std::string_view::npos,
          "nothing but PUBLISH is taken for the witness");
  (void)redis::code_of_reply(text);
}

}  // namespace

void check(std::string_view input) {
  static const Listener kListener;
  Bytes bytes(input);
  const std::string commands = bytes.text();
  check_commands(kListener, commands, bytes.rest());
  check_stream(kListener, bytes.rest());
  check_texts(bytes.rest());
}

}  // namespace holdfast::fuzz
