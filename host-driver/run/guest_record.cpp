// SPDX-License-Identifier: MIT
#include "run/guest_record.h"

#include <algorithm>

#include "base/text.h"

namespace holdfast::host::run {

using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

constexpr std::size_t kDepth = 12;
constexpr std::size_t kTextLimit = 400;
constexpr std::size_t kKeyLimit = 80;
// It becomes part of a manifest, which must stay readable whatever a guest puts in here.
constexpr std::size_t kKeptLimit = std::size_t{128} << 10U;

// The same document, every text printable and short. Depth was bounded when it was parsed.
Json cleaned(const Json& value) {
  if (value.is_string()) return base::printable(value.get_ref<const std::string&>(), kTextLimit);
  if (value.is_array()) {
    Json list = Json::array();
    for (const Json& item : value)
      list.push_back(cleaned(item));
    return list;
  }
  if (value.is_object()) {
    Json object = Json::object();
    for (const auto& [key, item] : value.items())
      object[base::printable(key, kKeyLimit)] = cleaned(item);
    return object;
  }
  return value;
}

std::string text_of(const Json& object, std::string_view key) {
  return base::string_member(object, key).value_or("");
}

}  // namespace

Result<GuestRecord> parse_guest_record(std::string_view text) {
  const auto parsed = base::parse_json(text, {kRecordLimit, kDepth});
  if (!parsed) return parsed.error();
  GuestRecord record;
  record.document = cleaned(*parsed);
  if (base::to_line(record.document).size() > kKeptLimit) {
    return Error(ErrorCode::kTooLarge,
                 "the guest's record is larger than " + base::format_bytes(kKeptLimit));
  }
  const Json& json = record.document;
  const auto schema = base::integer_member(json, "schema");
  const auto sequence = base::integer_member(json, "sequence");
  auto boot = base::string_member(json, "boot");
  auto state = base::string_member(json, "state");
  if (!schema) return schema.error();
  if (*schema != 1) return Error(ErrorCode::kUnsupported, "the guest's record is not of schema 1");
  if (!sequence) return sequence.error();
  if (!boot) return std::move(boot).error();
  if (!state) return std::move(state).error();
  record.kind = base::string_member(json, "kind").value_or("freeze");
  record.sequence = *sequence;
  record.boot = std::move(*boot);
  record.state = std::move(*state);
  if (const auto verdict = base::object_member(json, "verdict"); verdict) {
    record.code = text_of(**verdict, "code");
    record.text = text_of(**verdict, "text");
    // A verdict without a status is not ok.
    record.status = base::integer_member(**verdict, "status").value_or(std::int64_t{1});
  }
  if (const auto resources = base::array_member(json, "resources"); resources) {
    for (const Json& entry : **resources) {
      GuestResource resource;
      resource.name = text_of(entry, "name");
      resource.required = base::bool_member(entry, "required").value_or(true);
      if (const auto verdict = base::object_member(entry, "verdict"); verdict) {
        resource.code = text_of(**verdict, "code");
        resource.text = text_of(**verdict, "text");
      }
      record.resources.push_back(std::move(resource));
    }
  }
  return record;
}

EarlierRecord earlier_record(const Result<std::string>& text) {
  if (!text) {
    if (text.error().code() == ErrorCode::kNotFound) return {true, {}, 0, {}};
    return {false, {}, 0, text.error().text()};
  }
  const auto record = parse_guest_record(*text);
  if (!record) return {false, {}, 0, record.error().text()};
  return {true, record->boot, record->sequence, {}};
}

bool is_of_this_window(const EarlierRecord& before, const GuestRecord& after) {
  // Sequence numbers begin anew with each boot, and nothing of an earlier boot lies in /run.
  return before.known && after.kind == "freeze" &&
         (before.boot.empty() || before.boot == after.boot) && before.sequence >= 0 &&
         after.sequence > 0 && after.sequence - 1 == before.sequence;
}

Proof judge(const EarlierRecord& before, const GuestRecord& after) {
  Proof proof;
  if (!before.known) {
    proof.lacking = "the guest's record before the freeze could not be read: " + before.problem;
  } else if (after.kind != "freeze") {
    proof.lacking = "the guest's record is not of a freeze, but of a '" + after.kind + "'";
  } else if (!is_of_this_window(before, after)) {
    proof.lacking = "the guest's record is not of this window: number " +
                    std::to_string(after.sequence) + " after " + std::to_string(before.sequence) +
                    (before.boot.empty() || before.boot == after.boot ? "" : ", of another boot");
  } else if (after.state != "done") {
    proof.lacking = "the guest's record is not complete: '" + after.state + "'";
  } else if (after.code != "ok" || after.status != 0) {
    proof.lacking = "the guest's verdict is '" + after.code + "'" +
                    (after.text.empty() ? "" : ": " + after.text);
  } else if (after.resources.empty()) {
    proof.lacking = "the guest's Holdfast held no resource";
  }
  for (const GuestResource& resource : after.resources) {
    if (resource.code == "ok") continue;
    const std::string said = "resource '" + resource.name + "': '" +
                             (resource.code.empty() ? "no verdict" : resource.code) + "'" +
                             (resource.text.empty() ? "" : ": " + resource.text);
    if (!resource.required) {
      proof.notes.push_back(said + " (not required)");
    } else if (proof.lacking.empty()) {
      proof.lacking = said;
    }
  }
  const bool any_held = std::any_of(after.resources.begin(), after.resources.end(),
                                    [](const GuestResource& r) { return r.code == "ok"; });
  if (proof.lacking.empty() && !any_held) proof.lacking = "the guest's Holdfast held no resource";
  return proof;
}

}  // namespace holdfast::host::run
