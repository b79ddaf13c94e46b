// SPDX-License-Identifier: MIT
#include "repository/manifest.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "repository/paths.h"

namespace holdfast::host::repository {

using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

Error corrupt(const std::string& problem) {
  return {ErrorCode::kCorrupt, "unable to use the manifest: " + problem};
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

Result<std::uint64_t> size_member(const Json& object, std::string_view key) {
  const auto number = base::integer_member(object, key);
  if (!number) return number.error();
  if (*number < 0) return Error(ErrorCode::kProtocol, "'" + std::string(key) + "' is negative");
  return static_cast<std::uint64_t>(*number);
}

// "backing": null, or {"id": the backup that has the image below}.
Result<std::string> parse_backing(const Json& entry) {
  const auto backing = entry.find("backing");
  if (backing == entry.end() || backing->is_null()) return std::string();
  if (!backing->is_object()) return corrupt("'backing' is no object");
  auto id = base::string_member(*backing, "id");
  if (!id) return corrupt(id.error().text());
  if (!is_backup_id(*id)) return corrupt("'" + base::printable(*id, 80) + "' is no backup's id");
  return id;
}

// "pflash": null, or the unit.
Result<std::optional<int>> parse_pflash(const Json& entry) {
  const auto unit = entry.find("pflash");
  if (unit == entry.end() || unit->is_null()) return std::optional<int>();
  const auto number = base::integer_member(entry, "pflash");
  if (!number) return corrupt(number.error().text());
  if (*number < 0 || *number > 9) return corrupt("'pflash' is no unit");
  return std::optional<int>(static_cast<int>(*number));
}

Result<DiskEntry> parse_disk(const Json& entry) {
  auto name = base::string_member(entry, "name");
  auto file = base::string_member(entry, "file");
  auto sha256 = base::string_member(entry, "sha256");
  auto format = base::string_member(entry, "file_format");
  const auto virtual_size = size_member(entry, "virtual_size");
  const auto bytes = size_member(entry, "bytes");
  for (const Result<std::string>* text : {&name, &file, &sha256, &format}) {
    if (!*text) return corrupt(text->error().text());
  }
  for (const Result<std::uint64_t>* number : {&virtual_size, &bytes}) {
    if (!*number) return corrupt(number->error().text());
  }
  if (!base::is_plain_name(*name)) {
    return corrupt("'" + base::printable(*name, 80) + "' is not the name of a disk");
  }
  if (*file != *name + ".qcow2" || *format != "qcow2") {
    return corrupt("'" + base::printable(*file, 80) + "' is not the file of disk '" + *name + "'");
  }
  if (!is_sha256(*sha256)) return corrupt("the checksum of disk '" + *name + "' is none");
  auto pflash = parse_pflash(entry);
  if (!pflash) return std::move(pflash).error();
  auto backing = parse_backing(entry);
  if (!backing) return std::move(backing).error();
  return DiskEntry{std::move(*name),   std::move(*file), *virtual_size,      *bytes,
                   std::move(*sha256), *pflash,          std::move(*backing)};
}

Result<FileEntry> parse_file(const Json& entry) {
  auto file = base::string_member(entry, "file");
  auto what = base::string_member(entry, "what");
  auto sha256 = base::string_member(entry, "sha256");
  const auto bytes = size_member(entry, "bytes");
  for (const Result<std::string>* text : {&file, &what, &sha256}) {
    if (!*text) return corrupt(text->error().text());
  }
  if (!bytes) return corrupt(bytes.error().text());
  // What else has a name of its own there.
  if (!base::is_plain_name(*file) || *file == kManifestName || file->starts_with("root.tar") ||
      *file == kProtectedName || *file == kUnboundName || *file == kProofName ||
      file->ends_with(".qcow2") || file->starts_with(kMemoryName)) {
    return corrupt("'" + base::printable(*file, 80) + "' is not the name of a file");
  }
  if (*bytes > kLargestFile) return corrupt("'" + *file + "' is too large for what it is");
  if (!is_sha256(*sha256)) return corrupt("the checksum of '" + *file + "' is none");
  return FileEntry{std::move(*file), base::printable(*what, 80), *bytes, std::move(*sha256)};
}

// "memory": null or missing, or {"file", "compression", ...}.
Result<std::optional<MemoryEntry>> parse_memory(const Json& document) {
  const auto entry = document.find("memory");
  if (entry == document.end() || entry->is_null()) return std::optional<MemoryEntry>();
  auto file = base::string_member(*entry, "file");
  auto sha256 = base::string_member(*entry, "sha256");
  auto compression = base::string_member(*entry, "compression");
  auto qemu = base::string_member(*entry, "qemu");
  const auto bytes = size_member(*entry, "bytes");
  for (const Result<std::string>* text : {&file, &sha256, &compression, &qemu}) {
    if (!*text) return corrupt("its memory: " + text->error().text());
  }
  if (!bytes) return corrupt("its memory: " + bytes.error().text());
  const bool compressed = *compression == "zstd";
  if (!compressed && *compression != "none") return corrupt("its memory is of no known kind");
  if (*file != std::string(kMemoryName) + (compressed ? ".zst" : "")) {
    return corrupt("'" + base::printable(*file, 80) + "' is not the file of the memory");
  }
  if (!is_sha256(*sha256)) return corrupt("the checksum of its memory is none");
  return std::optional<MemoryEntry>(
      {{std::move(*file), "memory", *bytes, std::move(*sha256)},
       compressed,
       base::printable(*qemu, 40),
       base::printable(base::string_member(*entry, "machine").value_or(""), 80)});
}

// "definition": null, or {"files": [...]}.
Result<std::vector<FileEntry>> parse_files(const Json& document) {
  std::vector<FileEntry> files;
  const auto definition = document.find("definition");
  if (definition == document.end() || definition->is_null()) return files;
  const auto entries = base::array_member(*definition, "files");
  if (!entries) return corrupt("its definition: " + entries.error().text());
  std::set<std::string> names;
  for (const Json& entry : **entries) {
    auto file = parse_file(entry);
    if (!file) return std::move(file).error();
    if (!names.insert(file->file).second) return corrupt("'" + file->file + "' stands twice");
    files.push_back(std::move(*file));
  }
  return files;
}

// "archive": null, or the one file of a container.
Result<std::optional<ArchiveEntry>> parse_archive(const Json& document) {
  const auto entry = document.find("archive");
  if (entry == document.end() || entry->is_null()) return std::optional<ArchiveEntry>();
  if (!entry->is_object()) return corrupt("'archive' is no object");
  auto file = base::string_member(*entry, "file");
  auto compression = base::string_member(*entry, "compression");
  auto sha256 = base::string_member(*entry, "sha256");
  const auto bytes = size_member(*entry, "bytes");
  for (const Result<std::string>* text : {&file, &compression, &sha256}) {
    if (!*text) return corrupt(text->error().text());
  }
  if (!bytes) return corrupt(bytes.error().text());
  const bool zstd = *compression == "zstd";
  if ((!zstd && *compression != "none") || *file != (zstd ? "root.tar.zst" : "root.tar")) {
    return corrupt("'" + base::printable(*file, 80) + "' is not the file of an archive");
  }
  if (!is_sha256(*sha256)) return corrupt("the checksum of the archive is none");
  return std::optional<ArchiveEntry>(
      ArchiveEntry{std::move(*file), std::move(*compression), *bytes, std::move(*sha256)});
}

}  // namespace

const std::string& Manifest::parent() const {
  static const std::string kNone;
  for (const DiskEntry& disk : disks) {
    if (!disk.backing_id.empty()) return disk.backing_id;
  }
  return kNone;
}

std::uint64_t Manifest::stored_bytes() const {
  std::uint64_t bytes = 0;
  for (const DiskEntry& disk : disks)
    bytes += disk.bytes;
  for (const FileEntry& file : files)
    bytes += file.bytes;
  if (archive) bytes += archive->bytes;
  if (memory) bytes += memory->file.bytes;
  return bytes;
}

std::string backing_reference(const std::string& backing_id, const std::string& file) {
  return "../" + backing_id + "/" + file;
}

Result<Manifest> parse_manifest(std::string_view text) {
  auto json = base::parse_json(text, {std::size_t{4} << 20U, 48});
  if (!json) return corrupt(json.error().text());
  const auto schema = base::integer_member(*json, "schema");
  if (!schema) return corrupt(schema.error().text());
  if (*schema != kManifestSchema) {
    return Error(ErrorCode::kUnsupported, "unable to use the manifest: its schema is " +
                                              std::to_string(*schema) + ", this program knows " +
                                              std::to_string(kManifestSchema));
  }
  auto id = base::string_member(*json, "id");
  auto vm = base::string_member(*json, "vm");
  auto begin = base::string_member(*json, "begin");
  auto level_name = base::string_member(*json, "level");
  for (const Result<std::string>* member : {&id, &vm, &begin, &level_name}) {
    if (!*member) return corrupt(member->error().text());
  }
  const auto level = level_named(*level_name);
  if (!is_backup_id(*id)) return corrupt("'" + base::printable(*id, 80) + "' is no backup's id");
  if (!base::is_plain_name(*vm)) return corrupt("'" + base::printable(*vm, 80) + "' is no name");
  if (!level) return corrupt("'" + base::printable(*level_name, 40) + "' is no level");
  const auto disks = base::array_member(*json, "disks");
  if (!disks) return corrupt(disks.error().text());

  auto files = parse_files(*json);
  if (!files) return std::move(files).error();

  Manifest manifest{std::move(*id),
                    std::move(*vm),
                    *level,
                    base::printable(*begin, 40),
                    {},
                    std::move(*files),
                    {},
                    {}};
  std::set<std::string> names;
  for (const Json& entry : **disks) {
    auto disk = parse_disk(entry);
    if (!disk) return std::move(disk).error();
    if (!names.insert(disk->name).second) return corrupt("disk '" + disk->name + "' stands twice");
    if (!disk->backing_id.empty() && disk->backing_id >= manifest.id) {
      return corrupt("disk '" + disk->name + "' is an increment of a later backup");
    }
    manifest.disks.push_back(std::move(*disk));
  }
  auto archive = parse_archive(*json);
  if (!archive) return std::move(archive).error();
  manifest.archive = std::move(*archive);
  if (manifest.disks.empty() && !manifest.archive) return corrupt("it has no disks");
  if (!manifest.disks.empty() && manifest.archive) return corrupt("it has disks and an archive");
  for (const DiskEntry& disk : manifest.disks) {
    if (!disk.backing_id.empty() && disk.backing_id != manifest.parent()) {
      return corrupt("its disks are increments of different backups");
    }
  }
  auto group = parse_group(*json);
  if (!group) return std::move(group).error();
  manifest.group = std::move(*group);
  auto memory = parse_memory(*json);
  if (!memory) return std::move(memory).error();
  manifest.memory = std::move(*memory);
  manifest.document = std::move(*json);
  return manifest;
}

}  // namespace holdfast::host::repository
