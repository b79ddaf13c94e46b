// SPDX-License-Identifier: MIT
#include <algorithm>
#include <iostream>

#include "base/text.h"
#include "command/commands.h"
#include "repository/chain.h"
#include "repository/proof.h"
#include "ui/table.h"

namespace holdfast::host::command {

using base::Json;
using base::Result;
using repository::Backup;
using repository::BadBackup;
using repository::Repository;

namespace {

// A backup, and how many it needs to be restored; nothing if one of them is missing.
struct Line {
  Backup backup;
  std::optional<std::size_t> chain;
  Result<std::optional<repository::Proof>> proof;
};

std::string kind_of(const Backup& backup) {
  if (backup.manifest.archive) return "archive";
  return backup.manifest.parent().empty() ? "full" : "increment";
}

using Found = Result<std::optional<repository::Proof>>;

std::string proof_of(const Found& proof) {
  if (!proof) return "unusable";
  return *proof ? std::string(name_of((*proof)->result)) : "-";
}

const std::string& group_of(const Backup& backup) {
  return backup.manifest.group.name;
}

Json summary(const Line& line) {
  const Backup& backup = line.backup;
  const std::string& parent = backup.manifest.parent();
  return {{"vm", backup.manifest.vm},
          {"id", backup.manifest.id},
          {"begin", backup.manifest.begin},
          {"level", std::string(name_of(backup.manifest.level))},
          {"kind", kind_of(backup)},
          {"parent", parent.empty() ? Json() : Json(parent)},
          {"chain", line.chain ? Json(*line.chain) : Json()},
          {"protected", backup.is_protected},
          {"proof", line.proof && *line.proof
                        ? Json{{"result", proof_of(line.proof)}, {"at", (*line.proof)->at}}
                        : Json()},
          {"group", group_of(backup).empty() ? Json() : Json(group_of(backup))},
          {"disks", backup.manifest.disks.size()},
          {"memory", backup.manifest.memory ? Json(backup.manifest.memory->file.bytes) : Json()},
          {"bytes", backup.manifest.stored_bytes()},
          {"directory", backup.directory}};
}

void print_table(const std::vector<Line>& lines, const std::vector<BadBackup>& unusable) {
  std::vector<ui::Row> rows{
      {"VM", "ID", "BEGIN", "LEVEL", "KIND", "CHAIN", "PROTECTED", "DISKS", "SIZE"}};
  const bool groups = std::any_of(lines.begin(), lines.end(),
                                  [](const Line& line) { return !group_of(line.backup).empty(); });
  const bool memory = std::any_of(lines.begin(), lines.end(), [](const Line& line) {
    return line.backup.manifest.memory.has_value();
  });
  if (memory) rows.front().emplace_back("MEMORY");
  if (groups) rows.front().emplace_back("GROUP");
  const bool proofs = std::any_of(lines.begin(), lines.end(),
                                  [](const Line& line) { return proof_of(line.proof) != "-"; });
  if (proofs) rows.front().emplace_back("PROOF");
  for (const Line& line : lines) {
    const Backup& backup = line.backup;
    rows.push_back({backup.manifest.vm, backup.manifest.id, backup.manifest.begin,
                    std::string(name_of(backup.manifest.level)), kind_of(backup),
                    line.chain ? std::to_string(*line.chain) : "broken",
                    backup.is_protected ? "yes" : "-",
                    backup.manifest.archive ? "-" : std::to_string(backup.manifest.disks.size()),
                    base::format_bytes(backup.manifest.stored_bytes())});
    if (memory) {
      const auto& kept = backup.manifest.memory;
      rows.back().push_back(kept ? base::format_bytes(kept->file.bytes) : "-");
    }
    if (groups) rows.back().push_back(group_of(backup).empty() ? "-" : group_of(backup));
    if (proofs) rows.back().push_back(proof_of(line.proof));
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
    const repository::Manifest& manifest = line.backup.manifest;
    complain(base::Error(base::ErrorCode::kCorrupt,
                         manifest.vm + "/" + manifest.id + ": its chain is broken")
                 .with_hint("holdfast show " + manifest.vm + " " + manifest.id));
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
    auto part = repository->list(vm);
    if (!part) return std::move(part).error();
    const auto chains = repository::chain_lengths(part->backups);
    for (std::size_t i = 0; i < chains.size(); ++i) {
      auto proof = repository::read_proof(part->backups[i].directory);
      lines.push_back({std::move(part->backups[i]), chains[i], std::move(proof)});
    }
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
