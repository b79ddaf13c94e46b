// SPDX-License-Identifier: MIT
//
// A pause of writes on one server, from the command that begins it to the proof that it lasted and
// the command that ends it.
//
// A pause belongs to nobody: it outlives the session that asked for it, anybody may end it, and
// INFO does not show it. So there are two sessions. `control` gives the commands. `witness` sends a
// command that a pause keeps waiting, and the server is asked whether it does; from then on the
// witness's reply is due. As long as it has not come and the session stands, the pause has not been
// interrupted for a turn of the server's loop: were it ended and begun anew, the reply would have
// come between. What happens within one turn (three commands in one packet), the position shows.
//
// The bound is the server's own: it ends the pause when nobody else does.
//
// Threads: the resource's worker; interrupt() from any.
#pragma once

#include <string>

#include "base/waker.h"
#include "redis/pause_note.h"
#include "redis/redis_session.h"

namespace holdfast::redis {

class WritePause {
 public:
  // How long abandon() may take.
  static constexpr base::Millis kAbandonTime{90};

  explicit WritePause(std::string note_path, base::Millis abandon_time = kAbandonTime)
      : control_(waker_),
        witness_(waker_),
        note_(std::move(note_path)),
        abandon_time_(abandon_time) {}

  [[nodiscard]] RedisSession& control() { return control_; }
  [[nodiscard]] const RedisSession& witness() const { return witness_; }

  // Opens both sessions, or asks both whether they still answer, and opens them anew if not. Ends a
  // pause that an earlier process has left on this run of the server. Clears an interrupt.
  [[nodiscard]] base::Result<ServerState> connect(const ConnectSettings& settings,
                                                  const Patience& patience);
  // kBusy while somebody else's pause is on. `saves`: is BGSAVE needed?
  [[nodiscard]] base::Result<void> check_privileges(bool saves, const Patience& patience);
  void close();

  // On success every write waits, and the server has said so. kBusy if somebody else's pause was on
  // before, which is left alone. On failure nothing is paused by us: abandon() was called.
  [[nodiscard]] base::Result<void> begin(const std::string& run_id, base::Millis bound,
                                         const Patience& patience);
  // Has it lasted without a break? kHoldLost if not, or if that can't be shown.
  [[nodiscard]] base::Result<void> prove(const Patience& patience);
  // A later bound. Servers never shorten a pause by this.
  [[nodiscard]] base::Result<void> extend(const std::string& run_id, base::Millis bound,
                                          const Patience& patience);
  // Ends it, if it is still ours: by the control session if that answers, else by a new one. On
  // kTimedOut the command has been sent, and a server that goes on will find it.
  [[nodiscard]] base::Result<void> end(const Patience& patience);
  // end() within the abandon time, interrupted or not, and both sessions closed.
  void abandon();

  // Makes what is going on return. Ends no pause: end() or abandon() does, which come after it.
  void interrupt();

  // Shows POLLIN or a hang-up when the pause, or the server, has gone.
  [[nodiscard]] int watch_fd() const { return witness_.fd(); }

 private:
  enum class Witnessed { kWaiting, kAnswered };

  [[nodiscard]] base::Result<ServerState> ask_or_open(const Patience& patience);
  [[nodiscard]] base::Result<void> end_leftover(const ServerState& state, const Patience& patience);
  [[nodiscard]] base::Result<Witnessed> send_witness(const Patience& patience);
  [[nodiscard]] base::Result<void> establish(base::Millis bound, const Patience& patience);

  const ConnectSettings* settings_ = nullptr;
  base::Waker waker_;
  RedisSession control_;
  RedisSession witness_;
  PauseNote note_;
  base::Millis abandon_time_;
  bool begun_ = false;
};

}  // namespace holdfast::redis
