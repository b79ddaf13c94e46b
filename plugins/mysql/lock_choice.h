// SPDX-License-Identifier: MIT
//
// Which lock holds the writers: as the setting says, if the server can do it, or chosen by what
// costs the writers least and is still safe. Plain functions over what was read from the server.
#pragma once

#include <string>

#include "base/result.h"
#include "mysql/server_version.h"
#include "mysql/survey.h"

namespace holdfast::mysql {

enum class LockKind { kFtwrl, kBackupStage, kInstance };
// `lock` in the resource file.
enum class LockSetting { kFtwrl, kBackupStage, kInstance, kAuto };

// "ftwrl", "backup-stage", "instance": in settings and records.
[[nodiscard]] std::string name_of(LockKind kind);

struct LockChoice {
  LockKind kind = LockKind::kFtwrl;
  std::string reason;  // for the record: "every table is in InnoDB"
  // Only for `auto`: when take or prepare finds another backup in the way, FTWRL may stand in.
  bool may_fall_back = false;
};

// MariaDB 10.4.1 or later.
[[nodiscard]] bool has_backup_stage(const ServerVersion& version);
// MySQL 8.0 or later.
[[nodiscard]] bool has_instance_lock(const ServerVersion& version);

// kUnsupported, with a hint, for a lock that the server doesn't have. `survey` counts for `auto`
// alone.
[[nodiscard]] base::Result<LockChoice> choose_lock(LockSetting setting,
                                                   const ServerVersion& version,
                                                   const Survey& survey);

}  // namespace holdfast::mysql
