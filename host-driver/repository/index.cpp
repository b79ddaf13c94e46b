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

constexpr int kSchema = 2;
// Of some 50,000 backups; whoever has more reads their manifests.
constexpr std::size_t kLargest = std::size_t{16} << 20U;
constexpr base::JsonLimits kLineLimits{std::size_t{64} << 10U, 4, 32};
constexpr std::size_t kLongestTime = 40;
// More than the ticks of any filesystem's clock: FAT has two seconds.
constexpr std::chrono::nanoseconds kSettled = 3s;

// A line is an array, and where there is more to tell, an object of that is its last one. Of an
// object the names would have to be read and found as well, which takes a quarter longer for all of
// `list`.
enum Place : std::size_t {
  kId,
  kDirectory,
  kManifest = kDirectory + 4,
  kBegin = kManifest + 4,
  kLevel,
  kParent,  // empty: none
  kArchive,
  kProtected,
  kDisks,
  kBytes,
  kMore,
};

std::array<std::int64_t, 4> numbers_of(const Stamp& stamp) {
  return {stamp.inode, stamp.size, stamp.modified, stamp.changed};
}

bool is_integer(const Json& value) {
  return value.is_number_integer() &&
         !(value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX);
}

// Of the four values from there on.
std::optional<Stamp> stamp_at(const Json& array, std::size_t place) {
  std::array<std::int64_t, 4> numbers{};
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (!is_integer(array[place + i])) return std::nullopt;
    numbers.at(i) = array[place + i].get<std::int64_t>();
  }
  return Stamp{numbers[0], numbers[1], numbers[2], numbers[3]};
}

std::optional<std::uint64_t> size_of(const Json& value) {
  if (!is_integer(value) || value.get<std::int64_t>() < 0) return std::nullopt;
  return value.get<std::uint64_t>();
}

// What stands at the end of a line where there is more to tell. False if it is of no use.
bool read_more(const Json& more, Summary& summary, Stamps& stamps) {
  if (!more.is_object()) return false;
  if (const auto memory = more.find("memory"); memory != more.end()) {
    summary.memory_bytes = size_of(*memory);
    if (!summary.memory_bytes) return false;
  }
  auto group = parse_group(more);
  if (!group) return false;
  summary.group = std::move(*group);
  if (!more.contains("proof")) return true;
  const auto result = base::string_member(more, "proof");
  const auto at = base::string_member(more, "proof_at");
  const auto stamp = base::array_member(more, "proof_stamp");
  if (!result || !at || !stamp || (*stamp)->size() != 4) return false;
  stamps.proof = stamp_at(**stamp, 0);
  if (!stamps.proof) return false;
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
  Json json = Json::array({summary.id});
  for (const Stamp& stamp : {line.stamps.directory, line.stamps.manifest}) {
    for (const std::int64_t number : numbers_of(stamp))
      json.push_back(number);
  }
  json.insert(json.end(), {summary.begin, std::string(name_of(summary.level)), summary.parent,
                           summary.is_archive, summary.is_protected, summary.disks, summary.bytes});
  Json more = Json::object();
  if (summary.memory_bytes) more["memory"] = *summary.memory_bytes;
  if (!summary.group.members.empty()) {
    more["group"] = {{"name", summary.group.name}, {"members", summary.group.members}};
  }
  if (summary.proof && line.stamps.proof) {
    more["proof"] = std::string(name_of(summary.proof->result));
    more["proof_at"] = summary.proof->at;
    more["proof_stamp"] = numbers_of(*line.stamps.proof);
  }
  if (!more.empty()) json.push_back(std::move(more));
  return base::to_line(json);
}

std::optional<IndexLine> parse_line(std::string_view text) {
  const auto parsed = base::parse_json(text, kLineLimits);
  if (!parsed || !parsed->is_array() || parsed->size() < kMore || parsed->size() > kMore + 1) {
    return std::nullopt;
  }
  const Json& json = *parsed;
  for (const std::size_t place : {kId, kBegin, kLevel, kParent})
    if (!json[place].is_string()) return std::nullopt;
  if (!json[kArchive].is_boolean() || !json[kProtected].is_boolean()) return std::nullopt;
  const auto directory = stamp_at(json, kDirectory);
  const auto manifest = stamp_at(json, kManifest);
  const auto level = level_named(json[kLevel].get_ref<const std::string&>());
  const auto disks = size_of(json[kDisks]);
  const auto bytes = size_of(json[kBytes]);
  if (!directory || !manifest || !level || !disks || !bytes) return std::nullopt;
  IndexLine line{{}, {*directory, *manifest, {}}};
  Summary& summary = line.summary;
  summary.id = json[kId].get_ref<const std::string&>();
  if (!is_backup_id(summary.id)) return std::nullopt;
  summary.parent = json[kParent].get_ref<const std::string&>();
  if (!summary.parent.empty() && (!is_backup_id(summary.parent) || summary.parent >= summary.id)) {
    return std::nullopt;
  }
  summary.begin = base::printable(json[kBegin].get_ref<const std::string&>(), kLongestTime);
  summary.level = *level;
  summary.is_archive = json[kArchive].get<bool>();
  summary.is_protected = json[kProtected].get<bool>();
  summary.disks = *disks;
  summary.bytes = *bytes;
  if (json.size() > kMore && !read_more(json[kMore], summary, line.stamps)) return std::nullopt;
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
