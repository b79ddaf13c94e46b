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

std::string value_of(const api::Position& position, const std::string& key) {
  for (const auto& [name, value] : position) {
    if (name == key) return value;
  }
  return "none";
}

// "binlog-position was 913 and is 1044"
std::string difference(const api::Position& before, const api::Position& after) {
  for (const char* key : {"binlog-file", "binlog-position", "gtid"}) {
    const std::string was = value_of(before, key);
    const std::string is = value_of(after, key);
    if (was != is) return std::string(key) + " was " + was + " and is " + is;
  }
  return {};
}

}  // namespace

MysqlHold::MysqlHold(SessionPair& sessions, std::string resource, bool instance_locked)
    : sessions_(sessions), resource_(std::move(resource)), instance_locked_(instance_locked) {
  const ServerFacts& facts = sessions_.lock().facts();
  identity_ = {name_of(facts.version.flavour), facts.version_text, facts.server_uuid,
               std::to_string(facts.session_id)};
}

MysqlHold::~MysqlHold() {
  (void)release(Deadline::in(kLastResortTime));
}

Result<void> MysqlHold::establish(const Patience& patience) {
  auto evidence = sessions_.lock().evidence(patience);
  if (!evidence) return std::move(evidence).error();
  evidence_ = std::move(*evidence);
  return {};
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
  auto now = session.evidence(patience);
  if (!now) return now;
  if (now->session_id != evidence_.session_id) {
    return Error(ErrorCode::kHoldLost, "session " + std::to_string(now->session_id) +
                                           " answers in place of " +
                                           std::to_string(evidence_.session_id));
  }
  if (auto proven = session.prove_lock(patience); !proven) return std::move(proven).error();
  return now;
}

Result<api::Position> MysqlHold::check(Deadline deadline) {
  const Patience patience{.deadline = deadline};
  if (released_) return lost(Error(ErrorCode::kHoldLost, "it is released already"));
  auto now = prove_session(patience);
  if (!now) return lost(std::move(now).error());
  if (now->position != evidence_.position) {
    return lost(Error(ErrorCode::kHoldLost, difference(evidence_.position, now->position))
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
  auto released = session.unlock_tables(patience);
  if (released && instance_locked_) released = session.unlock_instance(patience);
  if (released) return {};
  sessions_.abandon();
  return base::wrap(std::move(released).error(), "unable to unlock tables on '" + resource_ + "'");
}

}  // namespace holdfast::mysql
