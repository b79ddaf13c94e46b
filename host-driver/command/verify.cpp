// SPDX-License-Identifier: MIT
#include <algorithm>
#include <iostream>

#include "base/text.h"
#include "command/backup_check.h"
#include "command/commands.h"
#include "command/notified.h"
#include "command/verify_boot.h"
#include "repository/use.h"
#include "ui/progress_bar.h"

namespace holdfast::host::command {

using base::ErrorCode;
using base::Json;
using base::Result;
using repository::Backup;
using repository::Repository;

namespace {

Result<std::vector<Backup>> chosen(const Repository& repository, const Invocation& invocation,
                                   int& status, std::vector<base::Error>& problems) {
  const std::string& vm = invocation.arguments.front();
  std::vector<Backup> backups;
  for (std::size_t i = 1; i < invocation.arguments.size(); ++i) {
    auto backup = repository.find(vm, invocation.arguments[i]);
    if (!backup) return std::move(backup).error();
    backups.push_back(std::move(*backup));
  }
  if (invocation.arguments.size() > 1) return backups;
  auto listing = repository.list(vm);
  if (!listing) return std::move(listing).error();
  for (const repository::BadBackup& bad : listing->bad) {
    problems.push_back(base::wrap(bad.problem, vm + "/" + bad.id));
    complain(problems.back());
    status = 1;
  }
  return std::move(listing->backups);
}

// "12 of 13 backups are sound"
std::string count_of(const Json& results) {
  const auto sound = std::count_if(results.begin(), results.end(),
                                   [](const Json& result) { return result.at("ok").get<bool>(); });
  return std::to_string(sound) + " of " + std::to_string(results.size()) + " backups are sound";
}

// The first thing that is wrong with it.
Result<void> check_backup(BackupCheck& check, const Backup& backup, ui::ProgressBar& bar) {
  for (const repository::FileEntry& file : backup.manifest.files) {
    if (auto sound = check.check_file(backup, file); !sound) return sound;
  }
  if (backup.manifest.archive) {
    auto sound = check.check_archive(backup, [&](double percent) {
      bar.update(backup.manifest.vm + ": verifying the archive", percent);
    });
    bar.clear();
    if (!sound) return std::move(sound).error();
  }
  if (const auto& memory = backup.manifest.memory; memory) {
    bar.update(backup.manifest.vm + ": verifying memory", 0);
    auto sound = check.check_file(backup, memory->file);
    bar.clear();
    if (!sound) return sound;
  }
  for (const repository::DiskEntry& disk : backup.manifest.disks) {
    auto sound = check.check_disk(backup, disk, [&](double percent) {
      bar.update(backup.manifest.vm + ": verifying " + disk.name, percent);
    });
    bar.clear();
    if (!sound) return std::move(sound).error();
  }
  return {};
}

Result<int> verify_those(const Invocation& invocation, Environment& environment,
                         notify::Told& told) {
  const std::string& vm = invocation.arguments.front();
  const auto settings = settings_for(invocation, vm, Needs::kRepository);
  if (!settings) return settings.error();
  const auto repository = Repository::open(settings->repository);
  if (!repository) return repository.error();
  int status = 0;
  const auto backups = chosen(*repository, invocation, status, told.problems);
  if (!backups) return backups.error();
  if (backups->empty() && status == 0) {
    return base::Error(ErrorCode::kNotFound, "there is no backup of '" + vm + "' to verify");
  }
  image::QemuImg images(environment.processes, settings->qemu_img);
  BackupCheck check(*repository, images, settings->copy_timeout, environment.stop);
  ui::ProgressBar bar(!invocation.quiet && ui::terminal_attached());
  Json results = Json::array();
  for (const Backup& backup : *backups) {
    const auto use = repository::Use::of(*repository, backup, backup.manifest.disks);
    if (!use && use.error().code() != ErrorCode::kCorrupt) return use.error();
    Json result{{"vm", vm}, {"id", backup.manifest.id}, {"ok", true}, {"problem", nullptr}};
    auto sound = check_backup(check, backup, bar);
    if (!sound) {
      if (sound.error().code() == ErrorCode::kCancelled) return std::move(sound).error();
      status = 1;
      result["ok"] = false;
      result["problem"] = sound.error().text();
      base::Error problem = base::wrap(std::move(sound).error(), vm + "/" + backup.manifest.id);
      complain(problem);
      told.problems.push_back(std::move(problem));
    }
    if (!invocation.json && !invocation.quiet) {
      std::cout << vm << ": " << backup.manifest.id << ": "
                << (result["ok"].get<bool>() ? "sound" : "NOT SOUND") << std::endl;
    }
    results.push_back(std::move(result));
  }
  if (invocation.json) std::cout << base::to_document(results);
  told.facts = {count_of(results)};
  told.detail = std::move(results);
  return status;
}

}  // namespace

Result<int> verify(const Invocation& invocation, Environment& environment) {
  return notified(invocation, environment, [&](std::vector<notify::Told>& tolds) {
    if (invocation.boot) return verify_boot(invocation, environment, tolds);
    tolds.push_back({.vm = invocation.arguments.front()});
    notify::Told& told = tolds.back();
    Result<int> status = verify_those(invocation, environment, told);
    told.status = status ? *status : base::host_exit_status(status.error().code());
    if (!status) told.problems.push_back(status.error());
    return status;
  });
}

}  // namespace holdfast::host::command
