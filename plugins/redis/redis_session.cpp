// SPDX-License-Identifier: MIT
#include "redis/redis_session.h"

#include <poll.h>

#include "base/text.h"

namespace holdfast::redis {

namespace {

using base::Error;
using base::ErrorCode;
using base::Result;

Result<void> done(Result<Reply> reply) {
  if (!reply) return std::move(reply).error();
  return {};
}

}  // namespace

bool shows_kept_waiting(std::string_view line) {
  const auto field = [&](std::string_view name) {
    const std::size_t at = line.find(name);
    if (at == std::string_view::npos) return std::string_view();
    const std::string_view rest = line.substr(at + name.size());
    return rest.substr(0, rest.find_first_of(" \n"));
  };
  // PUBLISH does not block by itself: where it does, a pause is what it waits for.
  return field(" flags=").find('b') != std::string_view::npos && field(" cmd=") == "publish";
}

Result<void> RedisSession::authenticate(const ConnectSettings& connect, const Patience& patience) {
  if (connect.user.empty() && connect.password.empty()) return {};
  if (connect.user.empty()) return send({"AUTH", connect.password.reveal()}, patience);
  return send({"AUTH", connect.user, connect.password.reveal()}, patience);
}

Result<void> RedisSession::begin(const ConnectSettings& connect, const Patience& patience) {
  auto begun = open(connect.endpoint, patience);
  if (begun) begun = authenticate(connect, patience);
  if (begun && awaits_reply()) begun = done(receive(patience));
  // So that whoever looks at CLIENT LIST knows whose it is.
  if (begun) begun = done(call({"CLIENT", "SETNAME", "holdfast"}, patience));
  if (begun) {
    auto id = call({"CLIENT", "ID"}, patience);
    if (id) {
      id_ = id->number;
    } else {
      begun = std::move(id).error();
    }
  }
  if (!begun) close();
  return begun;
}

Result<ServerState> RedisSession::state(const Patience& patience) {
  auto info = call({"INFO"}, patience);
  if (!info) return std::move(info).error();
  return parse_info(info->text);
}

Result<void> RedisSession::may(std::string_view name, Words words, const Patience& patience) {
  auto queued = call(words, patience);
  if (queued || queued.error().code() != ErrorCode::kPermission) return done(std::move(queued));
  return Error(ErrorCode::kPermission, "the account may not use " + std::string(name))
      .caused_by(std::move(queued).error());
}

Result<void> RedisSession::check_control_privileges(bool saves, const Patience& patience) {
  auto allowed = done(call({"MULTI"}, patience));
  if (!allowed) return allowed;
  // An argument that makes no sense: were it executed after all, it would fail.
  if (allowed) allowed = may("CLIENT PAUSE", {"CLIENT", "PAUSE", "none", "WRITE"}, patience);
  if (allowed) allowed = may("CLIENT UNPAUSE", {"CLIENT", "UNPAUSE"}, patience);
  if (allowed) allowed = may("CLIENT LIST", {"CLIENT", "LIST", "ID", "1"}, patience);
  if (allowed && saves) allowed = may("BGSAVE", {"BGSAVE"}, patience);
  if (usable()) (void)call({"DISCARD"}, patience);
  return allowed;
}

Result<void> RedisSession::check_announce_privilege(const Patience& patience) {
  auto allowed = done(call({"MULTI"}, patience));
  if (!allowed) return allowed;
  allowed = may(std::string("PUBLISH ") + kChannel, {"PUBLISH", kChannel, ""}, patience);
  if (usable() && !awaits_reply()) (void)call({"DISCARD"}, patience);
  return allowed;
}

Result<void> RedisSession::save_in_background(const Patience& patience) {
  auto started = done(call({"BGSAVE"}, patience));
  // "Background save already in progress", "Another child process is active".
  if (!started && started.error().code() == ErrorCode::kRefused &&
      started.error().text().find("rogress") != std::string::npos) {
    return Error(ErrorCode::kBusy, started.error().text());
  }
  return started;
}

Result<void> RedisSession::pause_writes(base::Millis bound, const Patience& patience) {
  const std::string milliseconds = std::to_string(bound.count());
  return done(call({"CLIENT", "PAUSE", milliseconds, "WRITE"}, patience));
}

Result<void> RedisSession::unpause(const Patience& patience) {
  return done(call({"CLIENT", "UNPAUSE"}, patience));
}

Result<void> RedisSession::open_and_unpause(const ConnectSettings& connect,
                                            const Patience& patience) {
  auto sent = open(connect.endpoint, patience);
  if (sent) sent = authenticate(connect, patience);
  if (sent) sent = unpause(patience);
  return sent;
}

Result<void> RedisSession::send_announcement(const Patience& patience) {
  return send({"PUBLISH", kChannel, ""}, patience);
}

Result<void> RedisSession::take_announcement(const Patience& patience) {
  return done(receive(patience));
}

Result<bool> RedisSession::is_kept_waiting(std::int64_t session, const Patience& patience) {
  auto list = call({"CLIENT", "LIST", "ID", std::to_string(session)}, patience);
  if (!list) return std::move(list).error();
  return shows_kept_waiting(list->text);
}

Result<void> RedisSession::await_input(const Patience& patience) {
  return wait(POLLIN, patience);
}

}  // namespace holdfast::redis
