// SPDX-License-Identifier: MIT
#include <algorithm>
#include <iostream>

#include "base/text.h"
#include "command/commands.h"
#include "repository/chain.h"
#include "repository/overview.h"
#include "ui/table.h"

namespace holdfast::host::command {

using base::Json;
using base::Result;
using repository::BadBackup;
using repository::Repository;
using repository::Summary;

namespace {

// A backup, and how many it needs to be restored; nothing if one of them is missing.
struct Line {
  Summary backup;
  std::optional<std::size_t> chain;
};

std::string kind_of(const Summary& backup) {
  if (backup.is_archive) return "archive";
  return backup.parent.empty() ? "full" : "increment";
}

std::string proof_of(const Summary& backup) {
  if (backup.proof_is_unusable) return "unusable";
  return backup.proof ? std::string(name_of(backup.proof->result)) : "-";
}

Json summary(const Line& line) {
  const Summary& backup = line.backup;
  return {{"vm", backup.vm},
          {"id", backup.id},
          {"begin", backup.begin},
          {"level", std::string(name_of(backup.level))},
          {"kind", kind_of(backup)},
          {"parent", backup.parent.empty() ? Json() : Json(backup.parent)},
          {"chain", line.chain ? Json(*line.chain) : Json()},
          {"protected", backup.is_protected},
          {"proof",
           backup.proof ? Json{{"result", proof_of(backup)}, {"at", backup.proof->at}} : Json()},
          {"group", backup.group.name.empty() ? Json() : Json(backup.group.name)},
          {"disks", backup.disks},
          {"memory", backup.memory_bytes ? Json(*backup.memory_bytes) : Json()},
          {"bytes", backup.bytes},
          {"directory", backup.directory}};
}

void print_table(const std::vector<Line>& lines, const std::vector<BadBackup>& unusable) {
  std::vector<ui::Row> rows{
      {"VM", "ID", "BEGIN", "LEVEL", "KIND", "CHAIN", "PROTECTED", "DISKS", "SIZE"}};
  const auto any = [&](auto&& has) {
    return std::any_of(lines.begin(), lines.end(),
                       [&](const Line& line) { return has(line.backup); });
  };
  const bool groups = any([](const Summary& backup) { return !backup.group.name.empty(); });
  const bool memory = any([](const Summary& backup) { return backup.memory_bytes.has_value(); });
  const bool proofs = any([](const Summary& backup) { return proof_of(backup) != "-"; });
  if (memory) rows.front().emplace_back("MEMORY");
  if (groups) rows.front().emplace_back("GROUP");
  if (proofs) rows.front().emplace_back("PROOF");
  for (const Line& line : lines) {
    const Summary& backup = line.backup;
    rows.push_back(
        {backup.vm, backup.id, backup.begin, std::string(name_of(backup.level)), kind_of(backup),
         line.chain ? std::to_string(*line.chain) : "broken", backup.is_protected ? "yes" : "-",
         backup.is_archive ? "-" : std::to_string(backup.disks), base::format_bytes(backup.bytes)});
    if (memory) {
      rows.back().push_back(backup.memory_bytes ? base::format_bytes(*backup.memory_bytes) : "-");
    }
    if (groups) rows.back().push_back(backup.group.name.empty() ? "-" : backup.group.name);
    if (proofs) rows.back().push_back(proof_of(backup));
  }
  for (const BadBackup& bad : unusable)
    rows.push_back({bad.vm, bad.id, "-", "unusable", "-", "-", "-", "-", "-"});
  for (ui::Row& row : rows)
    row.resize(rows.front().size(), "-");
  std::cout << ui::format_table(rows);
}

// What is wrong, and the exit status that says so.
int report(const std::vector<Line>& lines, const std::vector<BadBackup>& unusable) {
  int status = 0;
  for (const BadBackup& bad : unusable) {
    complain(base::wrap(bad.problem, bad.vm + "/" + bad.id));
    status = 1;
  }
  for (const Line& line : lines) {
    if (line.chain) continue;
    const Summary& backup = line.backup;
    complain(base::Error(base::ErrorCode::kCorrupt,
                         backup.vm + "/" + backup.id + ": its chain is broken")
                 .with_hint("holdfast show " + backup.vm + " " + backup.id));
    status = 1;
  }
  return status;
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
  std::vector<Line> lines;
  std::vector<BadBackup> unusable;
  for (const std::string& vm : vms) {
    auto part = repository::overview(*repository, vm, repository::Source::kIndex);
    if (!part) return std::move(part).error();
    const auto chains = repository::chain_lengths(part->backups);
    for (std::size_t i = 0; i < chains.size(); ++i)
      lines.push_back({std::move(part->backups[i]), chains[i]});
    for (BadBackup& bad : part->bad)
      unusable.push_back(std::move(bad));
  }
  if (invocation.json) {
    Json json{{"backups", Json::array()}, {"unusable", Json::array()}};
    for (const Line& line : lines)
      json["backups"].push_back(summary(line));
    for (const BadBackup& bad : unusable) {
      json["unusable"].push_back({{"vm", bad.vm}, {"id", bad.id}, {"problem", bad.problem.text()}});
    }
    std::cout << base::to_document(json);
  } else {
    print_table(lines, unusable);
  }
  return report(lines, unusable);
}

}  // namespace holdfast::host::command
