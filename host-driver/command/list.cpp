// SPDX-License-Identifier: MIT
#include <iostream>

#include "base/text.h"
#include "command/commands.h"
#include "repository/repository.h"
#include "ui/table.h"

namespace holdfast::host::command {

using base::Json;
using base::Result;
using repository::Backup;
using repository::BadBackup;
using repository::Repository;

namespace {

std::uint64_t bytes_of(const Backup& backup) {
  std::uint64_t bytes = 0;
  for (const repository::DiskEntry& disk : backup.manifest.disks)
    bytes += disk.bytes;
  return bytes;
}

Json summary(const Backup& backup) {
  return {{"vm", backup.manifest.vm},
          {"id", backup.manifest.id},
          {"begin", backup.manifest.begin},
          {"level", std::string(name_of(backup.manifest.level))},
          {"disks", backup.manifest.disks.size()},
          {"bytes", bytes_of(backup)},
          {"directory", backup.directory}};
}

void print_table(const repository::Listing& listing) {
  std::vector<ui::Row> rows{{"VM", "ID", "BEGIN", "LEVEL", "DISKS", "SIZE"}};
  for (const Backup& backup : listing.backups) {
    rows.push_back({backup.manifest.vm, backup.manifest.id, backup.manifest.begin,
                    std::string(name_of(backup.manifest.level)),
                    std::to_string(backup.manifest.disks.size()),
                    base::format_bytes(bytes_of(backup))});
  }
  for (const BadBackup& bad : listing.bad)
    rows.push_back({bad.vm, bad.id, "-", "unusable", "-", "-"});
  std::cout << ui::format_table(rows);
}

}  // namespace

Result<int> list(const Invocation& invocation, Environment&) {
  const std::string first = invocation.arguments.empty() ? "" : invocation.arguments.front();
  const auto settings = settings_for(invocation, first, Needs::kRepository);
  if (!settings) return settings.error();
  const auto repository = Repository::open(settings->repository);
  if (!repository) return repository.error();
  std::vector<std::string> vms = invocation.arguments;
  if (vms.empty()) {
    auto all = repository->vms();
    if (!all) return std::move(all).error();
    vms = std::move(*all);
  }
  repository::Listing listing;
  for (const std::string& vm : vms) {
    auto part = repository->list(vm);
    if (!part) return std::move(part).error();
    for (Backup& backup : part->backups)
      listing.backups.push_back(std::move(backup));
    for (BadBackup& bad : part->bad)
      listing.bad.push_back(std::move(bad));
  }
  if (invocation.json) {
    Json json{{"backups", Json::array()}, {"unusable", Json::array()}};
    for (const Backup& backup : listing.backups)
      json["backups"].push_back(summary(backup));
    for (const BadBackup& bad : listing.bad) {
      json["unusable"].push_back({{"vm", bad.vm}, {"id", bad.id}, {"problem", bad.problem.text()}});
    }
    std::cout << base::to_document(json);
  } else {
    print_table(listing);
  }
  for (const BadBackup& bad : listing.bad)
    complain(base::Error(bad.problem.code(), bad.vm + "/" + bad.id).caused_by(bad.problem));
  return listing.bad.empty() ? 0 : 1;
}

}  // namespace holdfast::host::command
