// SPDX-License-Identifier: MIT
#include "mysql/session_pair.h"

namespace holdfast::mysql {

namespace {
using base::Deadline;
using base::Millis;
using base::Result;

constexpr Millis kUnlockTime{60};
constexpr Millis kKillTime{90};
}  // namespace

Result<void> SessionPair::ensure(const ConnectSettings& settings, const Patience& patience) {
  // An interrupt from before this call has had its effect: the lock session is shut down.
  waker_.reset();
  if (usable() && lock_.answer(patience) && control_.answer(patience)) return {};
  close();
  if (auto begun = lock_.begin(settings, patience); !begun) return begun;
  auto begun = control_.begin(settings, patience);
  if (!begun) lock_.close();
  return begun;
}

void SessionPair::abandon() {
  const bool unlocked =
      lock_.usable() &&
      lock_.drop_locks({.deadline = Deadline::in(kUnlockTime), .deaf = true}).has_value();
  if (!unlocked && control_.usable()) {
    (void)control_.kill(lock_.facts().session_id,
                        {.deadline = Deadline::in(kKillTime), .deaf = true});
  }
  close();
}

void SessionPair::close() {
  lock_.close();
  control_.close();
}

void SessionPair::interrupt() {
  waker_.interrupt();
  lock_.shut_down();
}

}  // namespace holdfast::mysql
