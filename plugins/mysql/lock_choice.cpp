// SPDX-License-Identifier: MIT
#include "mysql/lock_choice.h"

#include <utility>

namespace holdfast::mysql {

namespace {

using base::Error;
using base::ErrorCode;
using base::Result;

LockChoice ftwrl_because(std::string reason) {
  return {LockKind::kFtwrl, std::move(reason), false};
}

LockChoice choose_on_mariadb(const ServerVersion& version, const Survey& survey) {
  if (!has_backup_stage(version)) {
    return ftwrl_because("MariaDB before 10.4.1 has no backup stages");
  }
  // MDEV-36025: while a worker waits for the one before it, it may commit under BLOCK_COMMIT. FTWRL
  // pauses the workers first (MDEV-7818).
  if (survey.parallel_threads > 0 && !survey.replica) {
    return ftwrl_because(
        "slave_parallel_threads is above 0, and the account may not see whether this is a replica");
  }
  if (survey.parallel_threads > 0 && *survey.replica) {
    return ftwrl_because("a parallel replica may commit in spite of a backup stage (MDEV-36025)");
  }
  return {LockKind::kBackupStage, "MariaDB with backup stages, and no parallel replica", true};
}

LockChoice choose_on_mysql(const ServerVersion& version, const Survey& survey) {
  if (!has_instance_lock(version)) return ftwrl_because("MySQL before 8.0 has no instance lock");
  if (!survey.may_lock_instance) return ftwrl_because("the account lacks BACKUP_ADMIN");
  if (!survey.reads_log_status) {
    return ftwrl_because("the account lacks SELECT on performance_schema.log_status");
  }
  if (!survey.sees_every_table || survey.visible_tables == 0) {
    return ftwrl_because("the account cannot see every table, so some may be outside InnoDB");
  }
  if (survey.tables_outside_innodb > 0) {
    return ftwrl_because("tables outside InnoDB: " + std::to_string(survey.tables_outside_innodb));
  }
  return {LockKind::kInstance, "every table is in InnoDB", false};
}

Error unsupported(LockKind kind, const char* needs, const ServerVersion& version) {
  return Error(ErrorCode::kUnsupported,
               "lock '" + name_of(kind) + "' needs " + needs + ", and the server is " +
                   name_of(version.flavour) + " " + std::to_string(version.major) + "." +
                   std::to_string(version.minor) + "." + std::to_string(version.patch))
      .with_hint("set lock = auto, or lock = ftwrl, which every server can do");
}

}  // namespace

std::string name_of(LockKind kind) {
  switch (kind) {
    case LockKind::kFtwrl:
      return "ftwrl";
    case LockKind::kBackupStage:
      return "backup-stage";
    case LockKind::kInstance:
      return "instance";
  }
  return {};
}

bool has_backup_stage(const ServerVersion& version) {
  return version.flavour == Flavour::kMariadb && version.at_least(10, 4) &&
         (version.at_least(10, 5) || version.patch >= 1);
}

bool has_instance_lock(const ServerVersion& version) {
  return version.flavour == Flavour::kMysql && version.at_least(8, 0);
}

Result<LockChoice> choose_lock(LockSetting setting, const ServerVersion& version,
                               const Survey& survey) {
  constexpr const char* kConfigured = "configured";
  switch (setting) {
    case LockSetting::kFtwrl:
      return ftwrl_because(kConfigured);
    case LockSetting::kBackupStage:
      if (has_backup_stage(version)) return LockChoice{LockKind::kBackupStage, kConfigured, false};
      return unsupported(LockKind::kBackupStage, "MariaDB 10.4.1 or later", version);
    case LockSetting::kInstance:
      if (has_instance_lock(version)) return LockChoice{LockKind::kInstance, kConfigured, false};
      return unsupported(LockKind::kInstance, "MySQL 8.0 or later", version);
    case LockSetting::kAuto:
      break;
  }
  return version.flavour == Flavour::kMariadb ? choose_on_mariadb(version, survey)
                                              : choose_on_mysql(version, survey);
}

}  // namespace holdfast::mysql
