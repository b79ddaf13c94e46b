// SPDX-License-Identifier: MIT
#include "mysql/lock_strategy.h"

#include "mysql/backup_stage_lock.h"
#include "mysql/ftwrl_lock.h"
#include "mysql/instance_lock.h"

namespace holdfast::mysql {

namespace {

std::string value_of(const api::Position& position, const std::string& key) {
  for (const auto& [name, value] : position) {
    if (name == key) return value;
  }
  return "none";
}

}  // namespace

std::string first_difference(const api::Position& before, const api::Position& after,
                             std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    const std::string was = value_of(before, key);
    const std::string is = value_of(after, key);
    if (was != is) return std::string(key) + " was " + was + " and is " + is;
  }
  return {};
}

base::Result<Proof> LockStrategy::prove_by_instrument(const char* kind, const char* otherwise,
                                                      const Patience& patience) {
  auto now = evidence(patience);
  if (!now) return std::move(now).error();
  Proof proof{std::move(*now), std::nullopt};
  if (kind == nullptr) return proof;
  auto shown = session_.owns_metadata_lock(kind, patience);
  if (!shown) return std::move(shown).error();
  // Not to be seen any more, for want of a privilege or an instrument, proves nothing.
  if (!shown->value_or(true)) proof.denial = base::Error(base::ErrorCode::kHoldLost, otherwise);
  return proof;
}

std::unique_ptr<LockStrategy> make_lock(LockKind kind, MysqlSession& session,
                                        bool may_lock_instance) {
  switch (kind) {
    case LockKind::kFtwrl:
      return std::make_unique<FtwrlLock>(session, may_lock_instance);
    case LockKind::kBackupStage:
      return std::make_unique<BackupStageLock>(session);
    case LockKind::kInstance:
      return std::make_unique<InstanceLock>(session);
  }
  return nullptr;
}

}  // namespace holdfast::mysql
