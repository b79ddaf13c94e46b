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
  if (auto proven = sessions_.lock().prove_lock(patience); !proven) return proven;
  auto proof = sessions_.lock().proof(patience);
  if (!proof) return std::move(proof).error();
  proof_ = *proof;
  auto position = sessions_.lock().position(patience);
  if (!position) return std::move(position).error();
  position_ = std::move(*position);
  return {};
}

Error MysqlHold::lost(Error cause) const {
  return Error(ErrorCode::kHoldLost, "the lock on '" + resource_ + "' was lost")
      .caused_by(std::move(cause));
}

Result<void> MysqlHold::prove_session(const Patience& patience) {
  MysqlSession& session = sessions_.lock();
  if (session.hung_up()) {
    return Error(ErrorCode::kHoldLost,
                 "the server has ended session " + std::to_string(proof_.session_id));
  }
  auto proof = session.proof(patience);
  if (!proof) return std::move(proof).error();
  if (proof->session_id != proof_.session_id) {
    return Error(ErrorCode::kHoldLost, "session " + std::to_string(proof->session_id) +
                                           " answers in place of " +
                                           std::to_string(proof_.session_id));
  }
  if (proof->uptime < proof_.uptime) {
    return Error(ErrorCode::kHoldLost, "the server was restarted");
  }
  return session.prove_lock(patience);
}

Result<api::Position> MysqlHold::check(Deadline deadline) {
  const Patience patience{.deadline = deadline};
  if (released_) return lost(Error(ErrorCode::kHoldLost, "it is released already"));
  if (auto proven = prove_session(patience); !proven) return lost(std::move(proven).error());
  auto now = sessions_.lock().position(patience);
  if (!now) return lost(std::move(now).error());
  if (*now != position_) {
    return lost(Error(ErrorCode::kHoldLost, difference(position_, *now))
                    .with_hint("something wrote in spite of the lock, or rotated the binary log"));
  }
  return now;
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
  return Error(released.error().code(), "unable to unlock tables on '" + resource_ + "'")
      .caused_by(std::move(released).error());
}

}  // namespace holdfast::mysql
