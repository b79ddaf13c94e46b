// SPDX-License-Identifier: MIT
#include <cstdio>
#include <iostream>

#include "base/text.h"
#include "command/commands.h"
#include "command/proof_text.h"
#include "repository/chain.h"
#include "ui/table.h"

namespace holdfast::host::command {

using base::Json;
using base::Result;
using repository::Repository;

namespace {

// A value of the manifest as text: it comes from a repository, so it is made printable here.
std::string shown(const Json& value) {
  if (value.is_null()) return "-";
  if (value.is_string()) return base::printable(value.get_ref<const std::string&>());
  if (value.is_number_float()) {
    char text[48];
    std::snprintf(text, sizeof text, "%.1f", value.get<double>());
    return text;
  }
  return base::printable(base::to_line(value));
}

const Json& member(const Json& object, std::string_view key) {
  static const Json kNone;
  if (!object.is_object()) return kNone;
  const auto found = object.find(std::string(key));
  return found == object.end() ? kNone : *found;
}

void print_list(const std::string& heading, const Json& list) {
  if (!list.is_array()) return;
  for (const Json& line : list)
    std::cout << heading << shown(line) << "\n";
}

std::string pairs(const Json& object) {
  std::string text;
  if (!object.is_object()) return text;
  for (const auto& [key, value] : object.items()) {
    text += (text.empty() ? "" : " ") + base::printable(key, 80) + "=" + shown(value);
  }
  return text;
}

void print_resources(const Json& record) {
  const Json& resources = member(record, "resources");
  if (!resources.is_array()) return;
  std::cout << "\nIn the guest, under the locks:\n";
  for (const Json& resource : resources) {
    const Json& verdict = member(resource, "verdict");
    std::cout << "  " << shown(member(resource, "name")) << " ("
              << shown(member(resource, "engine")) << " " << shown(member(resource, "version"))
              << "): " << shown(member(verdict, "code"));
    if (const std::string text = shown(member(verdict, "text")); text != "-" && !text.empty()) {
      std::cout << ": " << text;
    }
    std::cout << "\n";
    if (const std::string held = pairs(member(resource, "position")); !held.empty()) {
      std::cout << "    position: " << held << "\n";
    }
    if (const std::string thawed = pairs(member(resource, "position_at_thaw")); !thawed.empty()) {
      std::cout << "    at thaw:  " << thawed << "\n";
    }
  }
}

void print_disks(const repository::Manifest& manifest) {
  std::vector<ui::Row> rows{{"  DISK", "FILE", "SIZE", "STORED", "COMPRESSED", "SHA-256"}};
  // In the manifest's own order.
  const Json& entries = member(manifest.document, "disks");
  for (std::size_t i = 0; i < manifest.disks.size(); ++i) {
    const repository::DiskEntry& disk = manifest.disks[i];
    rows.push_back({"  " + disk.name, disk.file, base::format_bytes(disk.virtual_size),
                    base::format_bytes(disk.bytes), shown(member(entries[i], "compression")),
                    disk.sha256.substr(0, 16) + "…"});
  }
  std::cout << "\n" << ui::format_table(rows);
}

void print_archive(const repository::Manifest& manifest) {
  const repository::ArchiveEntry& archive = *manifest.archive;
  const Json& entry = member(manifest.document, "archive");
  std::cout << "\n"
            << ui::format_table({{"  ARCHIVE", "ENTRIES", "STORED", "COMPRESSED", "SHA-256"},
                                 {"  " + archive.file, shown(member(entry, "entries")),
                                  base::format_bytes(archive.bytes), archive.compression,
                                  archive.sha256.substr(0, 16) + "…"}});
}

void print_skipped(const Json& skipped) {
  if (!skipped.is_array()) return;
  for (const Json& one : skipped)
    std::cout << "Left out   " << shown(member(one, "device")) << ": "
              << shown(member(one, "reason")) << "\n";
}

void print_files(const repository::Manifest& manifest) {
  if (manifest.files.empty()) return;
  std::vector<ui::Row> rows{{"  FILE", "WHAT", "STORED", "SHA-256"}};
  for (const repository::FileEntry& file : manifest.files) {
    rows.push_back({"  " + file.file, file.what, base::format_bytes(file.bytes),
                    file.sha256.substr(0, 16) + "…"});
  }
  std::cout << "\n" << ui::format_table(rows);
}

// The backups that this one needs, or why they are not to be had.
using Chain = Result<std::vector<std::string>>;

void print_chain(const repository::Manifest& manifest, const Chain& chain) {
  if (manifest.parent().empty()) return;
  std::cout << "Parent     " << manifest.parent() << "\n";
  if (chain) {
    std::cout << "Chain      " << chain->size() << " backups, the first " << chain->back() << "\n";
  } else {
    std::cout << "Chain      broken\n";
  }
}

void print_memory(const repository::Manifest& manifest) {
  if (!manifest.memory) return;
  const Json& memory = member(manifest.document, "memory");
  const bool live = member(memory, "live") == Json(true);
  std::cout << "Memory     " << shown(member(memory, "ram_bytes")) << " bytes, "
            << base::format_bytes(manifest.memory->file.bytes) << " stored, saved "
            << (live ? "live" : "stopped") << "; the machine stood still for "
            << shown(member(memory, "standstill_ms")) << " ms\n";
  if (!live) {
    std::cout << "             not live: " << shown(member(memory, "stopped_because")) << "\n";
  }
  std::cout << "             of QEMU " << manifest.memory->qemu << ", " << manifest.memory->machine
            << "; " << manifest.memory->file.file << ", SHA-256 "
            << manifest.memory->file.sha256.substr(0, 16) << "…\n";
}

void print_group(const repository::Manifest& manifest) {
  if (manifest.group.members.empty()) return;
  std::cout << "Group      " << manifest.group.name << ":";
  for (const std::string& vm : manifest.group.members)
    std::cout << " " << vm;
  std::cout << "\n";
}

void print_trim(const Json& trim) {
  if (!trim.is_object()) return;
  std::cout << "Trimmed    " << shown(member(trim, "bytes")) << " bytes in "
            << shown(member(trim, "duration_ms")) << " ms\n";
  if (const Json& error = member(trim, "error"); !error.is_null()) {
    std::cout << "             " << shown(error) << "\n";
  }
  const Json& paths = member(trim, "paths");
  if (!paths.is_array()) return;
  for (const Json& path : paths) {
    const Json& error = member(path, "error");
    std::cout << "             " << shown(member(path, "path")) << ": "
              << shown(error.is_null() ? member(path, "bytes") : error) << "\n";
  }
}

using Found = Result<std::optional<repository::Proof>>;

void print_proof(const Found& proof) {
  if (proof && !*proof) return;
  std::cout << "Proof      ";
  if (!proof) {
    std::cout << "unusable: " << proof.error().text() << "\n";
    return;
  }
  std::cout << (*proof)->at << ": " << proof_line(**proof) << "\n";
  for (const std::string& line : proof_lines(**proof))
    std::cout << "             " << line << "\n";
}

void print_backup(const repository::Backup& backup, const Chain& chain, const Found& proof) {
  const Json& document = backup.manifest.document;
  const Json& evidence = member(document, "evidence");
  const Json& window = member(document, "window");
  std::cout << "VM         " << backup.manifest.vm << "\n"
            << "ID         " << backup.manifest.id << "\n"
            << "Begin      " << backup.manifest.begin << "\n"
            << "End        " << shown(member(document, "end")) << "\n"
            << "Level      " << name_of(backup.manifest.level) << " (required "
            << shown(member(document, "required")) << ")\n";
  print_list("Because    ", member(evidence, "reasons"));
  print_list("Note       ", member(evidence, "notes"));
  print_list("Lacking    ", member(member(document, "definition"), "lacking"));
  std::cout << "Window     " << shown(member(window, "total_ms")) << " ms: freeze "
            << shown(member(window, "freeze_call_ms")) << ", transaction "
            << shown(member(window, "transaction_ms")) << ", thaw "
            << shown(member(window, "thaw_call_ms")) << "; frozen "
            << shown(member(window, "frozen_ms")) << "\n";
  if (backup.manifest.archive) {
    const Json& container = member(document, "container");
    std::cout << "Container  " << shown(member(container, "manager")) << ":"
              << shown(member(container, "name")) << ", at "
              << shown(member(member(document, "archive"), "root")) << "\n"
              << "Frozen     its processes\n"
              << "Method     " << shown(member(document, "method")) << ", archive\n";
    print_skipped(member(document, "skipped"));
  } else {
    std::cout << "Frozen     " << shown(member(evidence, "freeze_count")) << " filesystems, thawed "
              << shown(member(evidence, "thaw_count")) << "\n"
              << "Method     " << shown(member(document, "method")) << ", "
              << (backup.manifest.parent().empty() ? "full" : "increment") << "; QEMU "
              << shown(member(member(document, "qemu"), "version")) << "\n";
  }
  print_group(backup.manifest);
  print_memory(backup.manifest);
  print_trim(member(document, "trim"));
  print_chain(backup.manifest, chain);
  if (backup.is_protected) std::cout << "Protected  yes\n";
  print_proof(proof);
  std::cout << "Directory  " << base::printable(backup.directory) << "\n";
  print_resources(member(evidence, "guest_record"));
  if (backup.manifest.archive) {
    print_archive(backup.manifest);
  } else {
    print_disks(backup.manifest);
  }
  print_files(backup.manifest);
}

}  // namespace

Result<int> show(const Invocation& invocation, Environment&) {
  const std::string& vm = invocation.arguments.front();
  const std::string id = invocation.arguments.size() > 1 ? invocation.arguments[1] : "latest";
  const auto settings = settings_for(invocation, vm, Needs::kRepository);
  if (!settings) return settings.error();
  const auto repository = Repository::open(settings->repository);
  if (!repository) return repository.error();
  const auto backup = repository->find(vm, id);
  if (!backup) return backup.error();
  const Chain chain = repository::chain_of(*repository, *backup);
  const Found proof = repository::read_proof(backup->directory);
  if (invocation.json) {
    Json json = backup->manifest.document;
    json["directory"] = backup->directory;
    json["protected"] = backup->is_protected;
    json["chain"] = chain ? Json(*chain) : Json();
    json["proof"] = proof && *proof ? (*proof)->document : Json();
    std::cout << base::to_document(json);
  } else {
    print_backup(*backup, chain, proof);
  }
  if (chain) return 0;
  complain(base::wrap(chain.error(), vm + "/" + backup->manifest.id));
  return 1;
}

}  // namespace holdfast::host::command
