// SPDX-License-Identifier: MIT
#include "repository/index.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "base/file.h"
#include "base/text.h"
#include "repository/paths.h"

namespace holdfast::host::repository {

using base::Json;

namespace {

using namespace std::chrono_literals;

constexpr int kSchema = 1;
// Of some 50,000 backups; whoever has more reads their manifests.
constexpr std::size_t kLargest = std::size_t{16} << 20U;
constexpr base::JsonLimits kLineLimits{std::size_t{64} << 10U, 4, 32};
constexpr std::size_t kLongestTime = 40;
// More than the ticks of any filesystem's clock: FAT has two seconds.
constexpr std::chrono::nanoseconds kSettled = 3s;

Json as_json(const Stamp& stamp) {
  return Json::array({stamp.inode, stamp.size, stamp.modified, stamp.changed});
}

std::optional<Stamp> stamp_in(const Json& line, std::string_view key) {
  const auto array = base::array_member(line, key);
  if (!array || (*array)->size() != 4) return std::nullopt;
  std::array<std::int64_t, 4> numbers{};
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const Json& number = (**array)[i];
    if (!number.is_number_integer() ||
        (number.is_number_unsigned() && number.get<std::uint64_t>() > INT64_MAX)) {
      return std::nullopt;
    }
    numbers.at(i) = number.get<std::int64_t>();
  }
  return Stamp{numbers[0], numbers[1], numbers[2], numbers[3]};
}

std::optional<std::uint64_t> size_in(const Json& line, std::string_view key) {
  const auto number = base::integer_member(line, key);
  if (!number || *number < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*number);
}

// What is left out where there is none. False if it is there and of no use.
bool read_rest(const Json& line, Summary& summary, Stamps& stamps) {
  if (line.contains("parent")) {
    auto parent = base::string_member(line, "parent");
    if (!parent || !is_backup_id(*parent) || *parent >= summary.id) return false;
    summary.parent = std::move(*parent);
  }
  if (line.contains("memory")) {
    summary.memory_bytes = size_in(line, "memory");
    if (!summary.memory_bytes) return false;
  }
  auto group = parse_group(line);
  if (!group) return false;
  summary.group = std::move(*group);
  if (!line.contains("proof")) return true;
  const auto result = base::string_member(line, "proof");
  const auto at = base::string_member(line, "proof_at");
  stamps.proof = stamp_in(line, "proof_stamp");
  if (!result || !at || !stamps.proof) return false;
  for (const ProofResult known : {ProofResult::kUndecided, ProofResult::kFailed,
                                  ProofResult::kBooted, ProofResult::kProven}) {
    if (*result == name_of(known)) {
      summary.proof = Summary::Proof{known, base::printable(*at, kLongestTime)};
    }
  }
  return summary.proof.has_value();
}

// Of the first line: how long the look had taken. Nothing: it is no index that we know.
std::optional<std::chrono::nanoseconds> took_in(std::string_view text) {
  const auto json = base::parse_json(text, kLineLimits);
  if (!json) return std::nullopt;
  const auto schema = base::integer_member(*json, "schema");
  const auto took = base::integer_member(*json, "took_ms");
  if (!schema || *schema != kSchema || !took || *took < 0 || *took > 86'400'000) {
    return std::nullopt;
  }
  return std::chrono::milliseconds(*took);
}

std::string path_in(const std::string& vm_directory) {
  return vm_directory + "/" + std::string(kIndexName);
}

// Takes the first line off.
std::string_view next_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

}  // namespace

std::string format_line(const IndexLine& line) {
  const Summary& summary = line.summary;
  Json json{{"id", summary.id},
            {"directory", as_json(line.stamps.directory)},
            {"manifest", as_json(line.stamps.manifest)},
            {"begin", summary.begin},
            {"level", std::string(name_of(summary.level))},
            {"archive", summary.is_archive},
            {"protected", summary.is_protected},
            {"disks", summary.disks},
            {"bytes", summary.bytes}};
  if (!summary.parent.empty()) json["parent"] = summary.parent;
  if (summary.memory_bytes) json["memory"] = *summary.memory_bytes;
  if (!summary.group.members.empty()) {
    json["group"] = {{"name", summary.group.name}, {"members", summary.group.members}};
  }
  if (summary.proof && line.stamps.proof) {
    json["proof"] = std::string(name_of(summary.proof->result));
    json["proof_at"] = summary.proof->at;
    json["proof_stamp"] = as_json(*line.stamps.proof);
  }
  return base::to_line(json);
}

std::optional<IndexLine> parse_line(std::string_view text) {
  const auto json = base::parse_json(text, kLineLimits);
  if (!json) return std::nullopt;
  auto id = base::string_member(*json, "id");
  const auto begin = base::string_member(*json, "begin");
  const auto level_name = base::string_member(*json, "level");
  const auto archive = base::bool_member(*json, "archive");
  const auto is_protected = base::bool_member(*json, "protected");
  const auto disks = size_in(*json, "disks");
  const auto bytes = size_in(*json, "bytes");
  const auto directory = stamp_in(*json, "directory");
  const auto manifest = stamp_in(*json, "manifest");
  if (!id || !begin || !level_name || !archive || !is_protected || !disks || !bytes || !directory ||
      !manifest || !is_backup_id(*id)) {
    return std::nullopt;
  }
  const auto level = level_named(*level_name);
  if (!level) return std::nullopt;
  IndexLine line{{}, {*directory, *manifest, {}}};
  line.summary.id = std::move(*id);
  line.summary.begin = base::printable(*begin, kLongestTime);
  line.summary.level = *level;
  line.summary.is_archive = *archive;
  line.summary.is_protected = *is_protected;
  line.summary.disks = *disks;
  line.summary.bytes = *bytes;
  if (!read_rest(*json, line.summary, line.stamps)) return std::nullopt;
  return line;
}

Index read_index(const std::string& vm_directory) {
  const std::string path = path_in(vm_directory);
  // Before it is read: of one that comes into its place meanwhile, an earlier time is the safe one.
  const auto stamp = stamp_of(AT_FDCWD, path, S_IFREG);
  if (!stamp) return {};
  const auto whole = base::read_file(path, kLargest);
  if (!whole) return {};
  std::string_view text = *whole;
  const auto took = took_in(next_line(text));
  if (!took) return {};
  const std::int64_t settled = stamp->modified - (*took + kSettled).count();
  Index index;
  while (!text.empty()) {
    auto line = parse_line(next_line(text));
    if (!line || newest_in(line->stamps) > settled) continue;
    if (index.empty() || index.back().summary.id < line->summary.id) {
      index.push_back(std::move(*line));
    }
  }
  return index;
}

void write_index(const std::string& vm_directory, const Index& index, base::Millis took) {
  std::string text = base::to_line(Json{{"schema", kSchema}, {"took_ms", took.count() + 1}}) + "\n";
  for (const IndexLine& line : index)
    text += format_line(line) + "\n";
  if (text.size() > kLargest) return;
  (void)base::write_file(path_in(vm_directory), text, 0600, base::Durable::kNo);
}

}  // namespace holdfast::host::repository
