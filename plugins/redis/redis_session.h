// SPDX-License-Identifier: MIT
//
// A session on a server, and all the commands of this plugin as named functions: nothing else sends
// one. None of them touches a key.
//
// Threads: as RedisConnection.
#pragma once

#include <string>

#include "base/secret.h"
#include "redis/redis_connection.h"
#include "redis/server_state.h"

namespace holdfast::redis {

// Where, and as whom. Without user and password no AUTH is sent: the server's default user.
struct ConnectSettings {
  Endpoint endpoint;
  std::string user;
  base::Secret password;
};

class RedisSession : public RedisConnection {
 public:
  using RedisConnection::RedisConnection;

  // Connects, authenticates, and learns its own id. Closed again on failure.
  [[nodiscard]] base::Result<void> begin(const ConnectSettings& connect, const Patience& patience);
  // The server's number for this connection; valid after begin().
  [[nodiscard]] std::int64_t id() const { return id_; }

  [[nodiscard]] base::Result<ServerState> state(const Patience& patience);
  // Which of the needed commands the server would refuse this account, asked within a transaction
  // that is then discarded: nothing is executed. kPermission names the first one.
  [[nodiscard]] base::Result<void> check_control_privileges(bool saves, const Patience& patience);
  // The same for announce(). Under a pause of writes it is not answered, so kTimedOut may mean
  // that.
  [[nodiscard]] base::Result<void> check_announce_privilege(const Patience& patience);

  // Starts a save in the background. kBusy if one is running or can't be begun now.
  [[nodiscard]] base::Result<void> save_in_background(const Patience& patience);

  // Writes of all clients wait, on this server, for that long or until unpause(). A pause outlives
  // the session, and one that is already on is extended, never shortened.
  [[nodiscard]] base::Result<void> pause_writes(base::Millis bound, const Patience& patience);
  [[nodiscard]] base::Result<void> unpause(const Patience& patience);
  // The same on a connection that was just opened, or that may not answer any more: authenticates
  // and unpauses in one go, without waiting for anything in between.
  [[nodiscard]] base::Result<void> open_and_unpause(const ConnectSettings& connect,
                                                    const Patience& patience);

  // A message to a channel of our own, which nobody need listen to: a command that a pause of
  // writes stops (it may replicate), that touches no key, and that a cluster takes on every node.
  [[nodiscard]] base::Result<void> send_announcement(const Patience& patience);
  // Its answer: how many have heard it.
  [[nodiscard]] base::Result<void> take_announcement(const Patience& patience);
  // Does the server say that this other session's announcement is being kept waiting?
  [[nodiscard]] base::Result<bool> is_kept_waiting(std::int64_t session, const Patience& patience);

  // Waits for something to be read here; kTimedOut is the regular end of a pause.
  [[nodiscard]] base::Result<void> await_input(const Patience& patience);

 private:
  [[nodiscard]] base::Result<void> authenticate(const ConnectSettings& connect,
                                                const Patience& patience);
  // Queues a command in the open transaction, to see whether the server would take it.
  [[nodiscard]] base::Result<void> may(std::string_view name, Words words,
                                       const Patience& patience);

  std::int64_t id_ = 0;
};

// Does a line of CLIENT LIST show a session whose PUBLISH is kept waiting?
[[nodiscard]] bool shows_kept_waiting(std::string_view line);

inline constexpr const char* kChannel = "holdfast:window";

}  // namespace holdfast::redis
