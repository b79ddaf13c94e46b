// SPDX-License-Identifier: MIT
#include "mysql/ftwrl_lock.h"

#include <utility>

namespace holdfast::mysql {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {
constexpr const char* kReadLock = "GLOBAL";
}  // namespace

Result<void> FtwrlLock::prepare(const Patience& patience) {
  if (!with_instance_lock_) return {};
  auto locked = session().lock_instance(patience);
  if (!locked) {
    return base::wrap(std::move(locked).error(), "unable to lock the instance against DDL");
  }
  instance_locked_ = true;
  return {};
}

bool FtwrlLock::waits_for(const StatementKind& statement) const {
  return delays_read_lock(session().facts().version, statement);
}

bool FtwrlLock::waits_at_any_age(const StatementKind& statement) const {
  return !instance_locked_ && statement.changes_schema;
}

Result<void> FtwrlLock::take(const Patience& patience) {
  auto locked = session().lock_tables(patience);
  if (!locked) return locked;
  tables_locked_ = true;
  if (session().mariadb()) return {};
  auto shown = session().owns_metadata_lock(kReadLock, patience);
  if (!shown) return std::move(shown).error();
  server_shows_it_ = shown->value_or(false);
  return {};
}

Result<Evidence> FtwrlLock::evidence(const Patience& patience) {
  return session().evidence(patience);
}

Result<Proof> FtwrlLock::prove(const Patience& patience) {
  if (session().mariadb()) return session().prove_read_lock(patience);
  return prove_by_instrument(server_shows_it_ ? kReadLock : nullptr,
                             "the server says that this session holds no read lock", patience);
}

std::string FtwrlLock::contradiction(const api::Position& before,
                                     const api::Position& after) const {
  // The coordinates of sources don't count: a source that rotates its own log moves them, and
  // nothing has been written here.
  return first_difference(before, after,
                          {"binlog-file", "binlog-position", "gtid", "gtid-applied"});
}

Result<void> FtwrlLock::release(const Patience& patience) {
  if (std::exchange(tables_locked_, false)) {
    if (auto unlocked = session().unlock_tables(patience); !unlocked) return unlocked;
  }
  if (!std::exchange(instance_locked_, false)) return {};
  return session().unlock_instance(patience);
}

}  // namespace holdfast::mysql
