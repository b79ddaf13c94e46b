// SPDX-License-Identifier: MIT
#include "snapshot/journal.h"

#include "base/file.h"
#include "base/text.h"

namespace holdfast::host::snapshot {

using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

constexpr int kSchema = 1;
constexpr std::size_t kLimit = std::size_t{1} << 20U;

Result<JournalDisk> parse_disk(const Json& entry) {
  JournalDisk disk;
  struct Field {
    const char* key;
    std::string* value;
  };
  for (const Field& field :
       {Field{"name", &disk.name}, Field{"overlay_node", &disk.overlay_node},
        Field{"overlay_path", &disk.overlay_path}, Field{"base_node", &disk.base_node},
        Field{"base_path", &disk.base_path}}) {
    auto text = base::string_member(entry, field.key);
    if (!text) return std::move(text).error();
    *field.value = std::move(*text);
  }
  const auto committed = base::bool_member(entry, "committed");
  if (!committed) return committed.error();
  disk.committed = *committed;
  return disk;
}

// Of earlier versions, a journal has none.
Result<std::vector<JournalSnapshot>> parse_snapshots(const Json& journal) {
  std::vector<JournalSnapshot> snapshots;
  if (!journal.contains("snapshots")) return snapshots;
  const auto entries = base::array_member(journal, "snapshots");
  if (!entries) return entries.error();
  for (const Json& entry : **entries) {
    auto source = base::string_member(entry, "source");
    auto path = base::string_member(entry, "path");
    if (!source) return std::move(source).error();
    if (!path) return std::move(path).error();
    snapshots.push_back({std::move(*source), std::move(*path)});
  }
  return snapshots;
}

}  // namespace

Json to_json(const Journal& journal) {
  Json disks = Json::array();
  for (const JournalDisk& disk : journal.disks) {
    disks.push_back({{"name", disk.name},
                     {"overlay_node", disk.overlay_node},
                     {"overlay_path", disk.overlay_path},
                     {"base_node", disk.base_node},
                     {"base_path", disk.base_path},
                     {"committed", disk.committed}});
  }
  Json snapshots = Json::array();
  for (const JournalSnapshot& snapshot : journal.snapshots)
    snapshots.push_back({{"source", snapshot.source}, {"path", snapshot.path}});
  return {{"schema", kSchema},         {"run", journal.run},
          {"method", journal.method},  {"may_be_taken", journal.may_be_taken},
          {"disks", std::move(disks)}, {"snapshots", std::move(snapshots)},
          {"resume", journal.resume},  {"cgroup", journal.cgroup},
          {"tree", journal.tree}};
}

Result<Journal> parse_journal(std::string_view text) {
  const auto json = base::parse_json(text, {kLimit, 8});
  if (!json) return json.error();
  const auto schema = base::integer_member(*json, "schema");
  auto run = base::string_member(*json, "run");
  auto method = base::string_member(*json, "method");
  const auto may_be_taken = base::bool_member(*json, "may_be_taken");
  const auto disks = base::array_member(*json, "disks");
  if (!schema) return schema.error();
  if (*schema != kSchema) return Error(ErrorCode::kUnsupported, "its schema is not 1");
  if (!run) return std::move(run).error();
  if (!method) return std::move(method).error();
  if (!may_be_taken) return may_be_taken.error();
  if (!disks) return disks.error();
  Journal journal{std::move(*run), std::move(*method), *may_be_taken, {}};
  for (const Json& entry : **disks) {
    auto disk = parse_disk(entry);
    if (!disk) return std::move(disk).error();
    journal.disks.push_back(std::move(*disk));
  }
  auto snapshots = parse_snapshots(*json);
  if (!snapshots) return std::move(snapshots).error();
  journal.snapshots = std::move(*snapshots);
  if (json->contains("resume")) {
    const auto resume = base::bool_member(*json, "resume");
    if (!resume) return resume.error();
    journal.resume = *resume;
  }
  if (json->contains("cgroup")) {
    auto cgroup = base::string_member(*json, "cgroup");
    if (!cgroup) return std::move(cgroup).error();
    journal.cgroup = std::move(*cgroup);
  }
  if (json->contains("tree")) {
    auto tree = base::string_member(*json, "tree");
    if (!tree) return std::move(tree).error();
    journal.tree = std::move(*tree);
  }
  return journal;
}

Result<std::optional<Journal>> JournalFile::load() const {
  const auto text = base::read_file(path_, kLimit);
  if (!text) {
    if (text.error().code() == ErrorCode::kNotFound) return std::optional<Journal>();
    return text.error();
  }
  auto journal = parse_journal(*text);
  if (!journal) {
    return Error(ErrorCode::kCorrupt, "unable to read the journal '" + base::printable(path_) + "'")
        .with_hint("it names the overlays of an interrupted run; look at them before removing it")
        .caused_by(std::move(journal).error());
  }
  return std::optional<Journal>(std::move(*journal));
}

Result<void> JournalFile::save(const Journal& journal) const {
  return base::write_file(path_, base::to_document(to_json(journal)), 0600, base::Durable::kYes);
}

Result<void> JournalFile::remove() const {
  return base::remove_file(path_);
}

}  // namespace holdfast::host::snapshot
