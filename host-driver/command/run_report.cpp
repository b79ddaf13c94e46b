// SPDX-License-Identifier: MIT
#include "command/run_report.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/text.h"

namespace holdfast::host::command {

using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

// A manifest holds the guest's record, which is nested on its own.
constexpr std::size_t kEventDepth = 64;

constexpr std::array<std::string_view, 4> kKinds{"step", "progress", "note", "end"};

std::string rounded(double value, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

Json error_json(const std::optional<Error>& error) {
  if (!error) return {};
  return {{"code", name_of(error->code())}, {"text", error->text()}, {"hint", error->hint()}};
}

Result<std::optional<Error>> parse_error(const Json& event) {
  if (!event.contains("error") || event["error"].is_null()) return std::optional<Error>();
  const auto error = base::object_member(event, "error");
  if (!error) return error.error();
  const auto code = base::string_member(**error, "code");
  const auto text = base::string_member(**error, "text");
  const auto hint = base::string_member(**error, "hint");
  for (const auto* member : {&code, &text, &hint}) {
    if (!*member) return member->error();
  }
  return std::optional<Error>(
      Error(base::error_code_named(*code).value_or(ErrorCode::kInternal), *text).with_hint(*hint));
}

// Of a checkpoint: ", memory live, stood still for 29 ms".
std::string stood_still(const Json& manifest) {
  if (!manifest.contains("memory") || !manifest["memory"].is_object()) return {};
  const Json& memory = manifest["memory"];
  return std::string(", memory ") + (memory.value("live", false) ? "live" : "stopped") +
         ", stood still for " + rounded(memory.value("standstill_ms", 0.0), 0) + " ms";
}

}  // namespace

Error below_preferred(repository::Level level, const Json& evidence, const std::string& preferred) {
  std::string reasons;
  for (const Json& reason : evidence.at("reasons"))
    reasons += (reasons.empty() ? "" : "; ") + reason.get<std::string>();
  return {ErrorCode::kBelowPreferred, "level '" + std::string(name_of(level)) + "', '" + preferred +
                                          "' is preferred: " + reasons};
}

std::string summary_of(const RunReport& report) {
  const Json& manifest = report.manifest;
  const std::size_t disks = manifest.at("disks").size();
  const Json& copy = manifest.at("copy");
  const std::size_t removed = manifest.contains("removed") ? manifest["removed"].size() : 0;
  const Json none = Json::object();
  const Json& trim =
      manifest.contains("trim") && manifest["trim"].is_object() ? manifest["trim"] : none;
  const std::uint64_t trimmed = trim.value("bytes", std::uint64_t{0});
  return report.vm + ": " + manifest.at("id").get<std::string>() + ": " +
         manifest.at("level").get<std::string>() +
         (manifest.value("kind", "full") == "increment" ? ", increment" : "") + ", window " +
         rounded(manifest.at("window").at("total_ms").get<double>(), 0) + " ms, " +
         (manifest.value("kind", "full") == "archive"
              ? std::string("archive, ")
              : std::to_string(disks) + (disks == 1 ? " disk, " : " disks, ")) +
         base::format_bytes(copy.at("bytes").get<std::uint64_t>()) + " in " +
         rounded(copy.at("duration_ms").get<double>() / 1000, 1) + " s" + stood_still(manifest) +
         (trimmed == 0 ? "" : ", " + base::format_bytes(trimmed) + " trimmed") +
         (report.group.empty() ? "" : ", group " + report.group) +
         (removed == 0 ? "" : ", " + std::to_string(removed) + " older removed");
}

Json json_of(const RunReport& report) {
  Json json{{"vm", report.vm}, {"status", report.status}, {"error", nullptr}, {"hint", nullptr}};
  if (report.error) {
    json["error"] = report.error->text();
    if (!report.error->hint().empty()) json["hint"] = report.error->hint();
  }
  json["backup"] = report.manifest;
  return json;
}

int worst_status(const std::vector<RunReport>& reports) {
  static constexpr std::array<int, 5> kWorstFirst{1, 2, 4, 3, 0};
  const auto rank = [](int status) {
    // What is not in the table is a failure like any other.
    const auto* found = std::find(kWorstFirst.begin(), kWorstFirst.end(), status);
    return found == kWorstFirst.end() ? kWorstFirst.begin() : found;
  };
  const auto* worst = &kWorstFirst.back();
  for (const RunReport& report : reports)
    worst = std::min(worst, rank(report.status));
  return *worst;
}

std::string line_of(const Event& event) {
  Json json{{"event", kKinds.at(static_cast<std::size_t>(event.kind))}};
  switch (event.kind) {
    case Event::Kind::kProgress:
      json["percent"] = event.percent;
      [[fallthrough]];
    case Event::Kind::kStep:
    case Event::Kind::kNote:
      json["text"] = event.text;
      break;
    case Event::Kind::kEnd:
      json["status"] = event.report.status;
      json["error"] = error_json(event.report.error);
      json["backup"] = event.report.manifest;
      break;
  }
  return base::to_line(json) + "\n";
}

Result<Event> parse_event(std::string_view line) {
  const auto json = base::parse_json(line, {.size = kEventLimit, .depth = kEventDepth});
  if (!json) return json.error();
  const auto name = base::string_member(*json, "event");
  if (!name) return name.error();
  const auto* const kind = std::find(kKinds.begin(), kKinds.end(), *name);
  if (kind == kKinds.end()) {
    return Error(ErrorCode::kProtocol, "unknown event '" + base::printable(*name, 64) + "'");
  }
  Event event;
  event.kind = static_cast<Event::Kind>(kind - kKinds.begin());
  if (event.kind != Event::Kind::kEnd) {
    auto text = base::string_member(*json, "text");
    if (!text) return std::move(text).error();
    event.text = std::move(*text);
    if (event.kind != Event::Kind::kProgress) return event;
    if (!json->contains("percent") || !(*json)["percent"].is_number()) {
      return Error(ErrorCode::kProtocol, "a progress event without 'percent'");
    }
    event.percent = (*json)["percent"].get<double>();
    return event;
  }
  const auto status = base::integer_member(*json, "status");
  if (!status) return status.error();
  auto error = parse_error(*json);
  if (!error) return std::move(error).error();
  event.report.status = static_cast<int>(std::clamp<std::int64_t>(*status, 0, 255));
  event.report.error = std::move(*error);
  if (json->contains("backup")) event.report.manifest = (*json)["backup"];
  return event;
}

}  // namespace holdfast::host::command
