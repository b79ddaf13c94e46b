// SPDX-License-Identifier: MIT
#include "mysql/mysql_hold.h"

#include <utility>

namespace holdfast::mysql {

namespace {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

constexpr base::Millis kLastResortTime{1000};

}  // namespace

MysqlHold::MysqlHold(SessionPair& sessions, std::string resource,
                     std::unique_ptr<LockStrategy> lock, std::string reason)
    : sessions_(sessions),
      resource_(std::move(resource)),
      lock_(std::move(lock)),
      reason_(std::move(reason)) {
  const ServerFacts& facts = sessions_.lock().facts();
  identity_ = {name_of(facts.version.flavour), facts.version_text, facts.server_uuid,
               std::to_string(facts.session_id)};
}

MysqlHold::~MysqlHold() {
  (void)release(Deadline::in(kLastResortTime));
}

Result<void> MysqlHold::establish(const Patience& patience) {
  auto missing = sessions_.lock().flush_lazy_redo(patience);
  if (!missing) return std::move(missing).error();
  if (*missing > 0) {
    warn("the last " + std::to_string(*missing) +
         " bytes of the redo log are not flushed (innodb_flush_log_at_trx_commit is 0): the "
         "snapshot may lack commits that its binary log has");
  }
  auto evidence = lock_->evidence(patience);
  if (!evidence) return std::move(evidence).error();
  evidence_ = std::move(*evidence);
  return {};
}

api::Position MysqlHold::details() const {
  return {{"lock", name_of(lock_->kind())}, {"lock-reason", reason_}};
}

Error MysqlHold::lost(Error cause) const {
  return Error(ErrorCode::kHoldLost, "the lock on '" + resource_ + "' was lost")
      .caused_by(std::move(cause));
}

Result<Evidence> MysqlHold::prove_session(const Patience& patience) {
  MysqlSession& session = sessions_.lock();
  if (session.hung_up()) {
    return Error(ErrorCode::kHoldLost,
                 "the server has ended session " + std::to_string(evidence_.session_id));
  }
  auto proof = lock_->prove(patience);
  if (!proof) return std::move(proof).error();
  const std::uint64_t now = proof->evidence.session_id;
  if (now != evidence_.session_id) {
    return Error(ErrorCode::kHoldLost, "session " + std::to_string(now) + " answers in place of " +
                                           std::to_string(evidence_.session_id));
  }
  if (proof->denial) return std::move(*proof->denial);
  return std::move(proof->evidence);
}

Result<api::Position> MysqlHold::check(Deadline deadline) {
  const Patience patience{.deadline = deadline};
  if (released_) return lost(Error(ErrorCode::kHoldLost, "it is released already"));
  auto now = prove_session(patience);
  if (!now) return lost(std::move(now).error());
  if (std::string moved = lock_->contradiction(evidence_.position, now->position); !moved.empty()) {
    return lost(Error(ErrorCode::kHoldLost, std::move(moved))
                    .with_hint("something wrote in spite of the lock, or rotated the binary log"));
  }
  return std::move(now->position);
}

Result<void> MysqlHold::release(Deadline deadline) {
  if (std::exchange(released_, true)) return {};
  MysqlSession& session = sessions_.lock();
  // A session that has ended holds nothing; that it was lost is check()'s to say.
  if (!session.usable() || session.hung_up()) {
    sessions_.abandon();
    return {};
  }
  const Patience patience{.deadline = deadline};
  auto released = lock_->release(patience);
  if (released) {
    // The lock is gone: a session that fails now is one to replace, and nothing to report.
    if (!session.unbound_silence(patience)) sessions_.abandon();
    return {};
  }
  sessions_.abandon();
  return base::wrap(std::move(released).error(), "unable to unlock tables on '" + resource_ + "'");
}

}  // namespace holdfast::mysql
