// SPDX-License-Identifier: MIT
#include "mysql/instance_lock.h"

#include <utility>

namespace holdfast::mysql {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

constexpr const char* kInstanceLock = "BACKUP LOCK";

std::uint64_t lsn_of(const api::Position& position) {
  for (const auto& [key, value] : position) {
    if (key == "lsn") return number_of(value);
  }
  return 0;
}

}  // namespace

Result<void> InstanceLock::prepare(const Patience& patience) {
  auto locked = session().lock_instance(patience);
  if (!locked) return base::wrap(std::move(locked).error(), "unable to lock the instance");
  locked_ = true;
  return {};
}

Result<void> InstanceLock::take(const Patience& patience) {
  auto shown = session().owns_metadata_lock(kInstanceLock, patience);
  if (!shown) return std::move(shown).error();
  server_shows_it_ = shown->value_or(false);
  return {};
}

Result<Evidence> InstanceLock::evidence(const Patience& patience) {
  return session().evidence_at_once(patience);
}

Result<Proof> InstanceLock::prove(const Patience& patience) {
  return prove_by_instrument(server_shows_it_ ? kInstanceLock : nullptr,
                             "the server says that this session holds no instance lock", patience);
}

std::string InstanceLock::contradiction(const api::Position& before,
                                        const api::Position& after) const {
  return lsn_of(after) < lsn_of(before) ? first_difference(before, after, {"lsn"}) : std::string();
}

Result<void> InstanceLock::release(const Patience& patience) {
  return std::exchange(locked_, false) ? session().unlock_instance(patience) : Result<void>();
}

}  // namespace holdfast::mysql
