// SPDX-License-Identifier: MIT
#include "snapshot/btrfs/sent_record.h"

#include <algorithm>

#include "base/file.h"
#include "base/json_codec.h"
#include "base/text.h"

namespace holdfast::host::snapshot {

using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

constexpr std::size_t kLimit = std::size_t{1} << 20;
constexpr int kSchema = 1;

Result<std::string> path_member(const Json& entry, const char* name) {
  auto path = base::string_member(entry, name);
  if (path && !path->starts_with('/')) {
    return Error(ErrorCode::kCorrupt, "'" + std::string(name) + "' is no absolute path");
  }
  return path;
}

Result<Sent> parse_sent(const Json& entry) {
  auto source = path_member(entry, "source");
  auto snapshot = path_member(entry, "snapshot");
  auto received = path_member(entry, "received");
  if (!source) return std::move(source).error();
  if (!snapshot) return std::move(snapshot).error();
  if (!received) return std::move(received).error();
  return Sent{std::move(*source), std::move(*snapshot), std::move(*received)};
}

}  // namespace

const Sent* SentRecord::find_source(std::string_view source) const {
  const auto found = std::find_if(latest.begin(), latest.end(),
                                  [&](const Sent& sent) { return sent.source == source; });
  return found == latest.end() ? nullptr : &*found;
}

bool SentRecord::keeps(std::string_view subvolume) const {
  return std::any_of(latest.begin(), latest.end(), [&](const Sent& sent) {
    return sent.snapshot == subvolume || sent.received == subvolume;
  });
}

void SentRecord::replace(Sent sent) {
  std::erase_if(latest, [&](const Sent& former) {
    if (former.source != sent.source) return false;
    superseded.push_back(former.snapshot);
    superseded.push_back(former.received);
    return true;
  });
  latest.push_back(std::move(sent));
}

std::string to_document(const SentRecord& record) {
  Json latest = Json::array();
  for (const Sent& sent : record.latest) {
    latest.push_back(
        {{"source", sent.source}, {"snapshot", sent.snapshot}, {"received", sent.received}});
  }
  return base::to_document(
      {{"schema", kSchema}, {"latest", std::move(latest)}, {"superseded", record.superseded}});
}

Result<SentRecord> parse_sent_record(std::string_view text) {
  const auto json = base::parse_json(text, {kLimit, 8});
  if (!json) return json.error();
  const auto schema = base::integer_member(*json, "schema");
  const auto latest = base::array_member(*json, "latest");
  const auto superseded = base::array_member(*json, "superseded");
  if (!schema) return schema.error();
  if (*schema != kSchema) return Error(ErrorCode::kUnsupported, "its schema is not 1");
  if (!latest) return latest.error();
  if (!superseded) return superseded.error();
  SentRecord record;
  for (const Json& entry : **latest) {
    auto sent = parse_sent(entry);
    if (!sent) return std::move(sent).error();
    record.latest.push_back(std::move(*sent));
  }
  for (const Json& entry : **superseded) {
    if (!entry.is_string() || !entry.get_ref<const std::string&>().starts_with('/')) {
      return Error(ErrorCode::kCorrupt, "what is superseded is no absolute path");
    }
    record.superseded.push_back(entry);
  }
  return record;
}

Result<SentRecord> SentFile::load() const {
  const auto text = base::read_file(path_, kLimit);
  if (!text && text.error().code() == ErrorCode::kNotFound) return SentRecord{};
  if (!text) return text.error();
  auto record = parse_sent_record(*text);
  if (record) return record;
  return Error(ErrorCode::kCorrupt, "unable to read " + base::in_quotes(path_))
      .with_hint(
          "it names the snapshots that are kept for 'btrfs send'; delete those by hand "
          "before removing it")
      .caused_by(std::move(record).error());
}

Result<void> SentFile::save(const SentRecord& record) const {
  if (!record.empty()) {
    return base::write_file(path_, to_document(record), 0600, base::Durable::kYes);
  }
  return base::remove_file(path_);
}

}  // namespace holdfast::host::snapshot
