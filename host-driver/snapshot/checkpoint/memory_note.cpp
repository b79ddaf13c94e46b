// SPDX-License-Identifier: MIT
#include "snapshot/checkpoint/memory_note.h"

#include "base/file.h"
#include "base/text.h"

namespace holdfast::host::snapshot {

using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

constexpr int kSchema = 1;
constexpr std::size_t kLimit = std::size_t{64} << 10U;
constexpr std::string_view kJournalSuffix = ".json";
constexpr std::string_view kSuffix = ".memory";

std::string beside(std::string journal_path) {
  if (journal_path.ends_with(kJournalSuffix)) {
    journal_path.resize(journal_path.size() - kJournalSuffix.size());
  }
  return journal_path + std::string(kSuffix);
}

}  // namespace

Json to_json(const MemoryNote& note) {
  return {{"schema", kSchema},
          {"run", note.run},
          {"file", note.file},
          {"live", note.live},
          {"resume", note.resume},
          {"max_bandwidth", note.max_bandwidth},
          {"background_snapshot", note.background_snapshot},
          {"events", note.events}};
}

Result<MemoryNote> parse_memory_note(std::string_view text) {
  const auto json = base::parse_json(text, {kLimit, 4});
  if (!json) return json.error();
  const auto schema = base::integer_member(*json, "schema");
  auto run = base::string_member(*json, "run");
  auto file = base::string_member(*json, "file");
  const auto bandwidth = base::integer_member(*json, "max_bandwidth");
  if (!schema) return schema.error();
  if (*schema != kSchema) return Error(ErrorCode::kUnsupported, "its schema is not 1");
  if (!run) return std::move(run).error();
  if (!file) return std::move(file).error();
  if (!bandwidth) return bandwidth.error();
  MemoryNote note{.run = std::move(*run), .file = std::move(*file), .max_bandwidth = *bandwidth};
  struct Field {
    const char* key;
    bool* value;
  };
  for (const Field& field :
       {Field{"live", &note.live}, Field{"resume", &note.resume},
        Field{"background_snapshot", &note.background_snapshot}, Field{"events", &note.events}}) {
    const auto value = base::bool_member(*json, field.key);
    if (!value) return value.error();
    *field.value = *value;
  }
  return note;
}

MemoryNoteFile::MemoryNoteFile(const std::string& journal_path) : path_(beside(journal_path)) {}

Result<std::optional<MemoryNote>> MemoryNoteFile::load() const {
  const auto text = base::read_file(path_, kLimit);
  if (!text) {
    if (text.error().code() == ErrorCode::kNotFound) return std::optional<MemoryNote>();
    return text.error();
  }
  auto note = parse_memory_note(*text);
  if (!note) {
    return Error(ErrorCode::kCorrupt, "unable to read the note '" + base::printable(path_) + "'")
        .with_hint(
            "an interrupted run may have left the machine stopped: if 'query-status' in "
            "QEMU's monitor says so, 'cont' there; then remove it")
        .caused_by(std::move(note).error());
  }
  return std::optional<MemoryNote>(std::move(*note));
}

Result<void> MemoryNoteFile::save(const MemoryNote& note) const {
  return base::write_file(path_, base::to_document(to_json(note)), 0600, base::Durable::kNo);
}

Result<void> MemoryNoteFile::remove() const {
  return base::remove_file(path_);
}

}  // namespace holdfast::host::snapshot
