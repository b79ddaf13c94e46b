// SPDX-License-Identifier: MIT
#include "core/record.h"

#include <cmath>
#include <sstream>
#include <utility>

#include "base/duration.h"

namespace holdfast::core {

namespace {

using base::Json;

// steady_clock is CLOCK_MONOTONIC, so this is the number that clock_gettime(2) gives.
std::int64_t nanoseconds(base::MonoTime time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

Json instant_json(const Instant& instant) {
  return {{"wall", base::format_time(instant.wall)},
          {"monotonic_ns", nanoseconds(instant.monotonic)}};
}

Json pairs_json(const api::Position& position) {
  Json json = Json::object();
  for (const auto& [key, value] : position)
    json[key] = value;
  return json;
}

// A file as its lines: each stands for itself where texts are cut or shown in one line.
Json lines_json(const std::string& content) {
  Json lines = Json::array();
  std::istringstream stream(content);
  for (std::string line; std::getline(stream, line);)
    lines.push_back(line);
  return lines;
}

// Milliseconds to the microsecond: 1.234.
double milliseconds(std::chrono::nanoseconds span) {
  return std::round(static_cast<double>(span.count()) / 1000.0) / 1000.0;
}

Json times_json(const CallTimes& times) {
  Json json = Json::object();
  const auto span = [&](const char* key, const std::optional<std::chrono::nanoseconds>& value) {
    if (value) json[key] = milliseconds(*value);
  };
  span("prepare", times.prepare);
  span("hold", times.hold);
  span("check", times.check);
  span("release", times.release);
  return json;
}

Json resource_json(const ResourceRecord& resource) {
  Json json{{"name", resource.name}, {"plugin", resource.plugin}, {"required", resource.required}};
  const auto text = [&](const char* key, const std::string& value) {
    if (!value.empty()) json[key] = value;
  };
  text("engine", resource.identity.engine);
  text("version", resource.identity.version);
  text("server_uuid", resource.identity.server_uuid);
  text("session_id", resource.identity.session_id);
  if (resource.held_at) json["held_at_ns"] = nanoseconds(*resource.held_at);
  if (resource.released_at) json["released_at_ns"] = nanoseconds(*resource.released_at);
  if (resource.lost_at) json["lost_at_ns"] = nanoseconds(*resource.lost_at);
  json["position"] = pairs_json(resource.position);
  Json at_thaw = pairs_json(resource.position_at_thaw);
  at_thaw.update(pairs_json(resource.release.position));
  if (!at_thaw.empty()) json["position_at_thaw"] = std::move(at_thaw);
  if (!resource.details.empty()) json["details"] = pairs_json(resource.details);
  if (!resource.warnings.empty()) json["warnings"] = resource.warnings;
  if (Json times = times_json(resource.times); !times.empty()) {
    json["durations_ms"] = std::move(times);
  }
  for (const auto& [name, content] : resource.release.files)
    json["files"][name] = lines_json(content);
  json["verdict"] = {{"code", resource.verdict.code}, {"text", resource.verdict.text}};
  return json;
}

}  // namespace

Instant now(const base::Clock& clock) {
  return {clock.wall(), clock.now()};
}

Verdict verdict_of(const base::Error& error) {
  return {std::string(base::name_of(error.code())), base::guest_exit_status(error.code()),
          error.text()};
}

Json to_json(const WindowRecord& record) {
  Json json{{"schema", 1},         {"holdfast", HOLDFAST_VERSION},
            {"window", record.id}, {"sequence", record.sequence},
            {"boot", record.boot}, {"state", record.verdict ? "done" : "held"}};
  json["kind"] = record.kind == WindowKind::kDrill ? "drill" : "freeze";
  if (record.verdict) {
    json["verdict"] = {{"code", record.verdict->code},
                       {"status", record.verdict->status},
                       {"text", record.verdict->text}};
  } else {
    json["verdict"] = nullptr;
  }
  json["begin"] = instant_json(record.begin);
  if (record.held) json["held"] = instant_json(*record.held);
  if (record.thaw_seen) json["thaw_seen"] = instant_json(*record.thaw_seen);
  if (record.end) json["end"] = instant_json(*record.end);
  json["phases"] = Json::array();
  for (const Phase& phase : record.phases) {
    json["phases"].push_back({{"name", phase.name},
                              {"begin_ns", nanoseconds(phase.begin)},
                              {"duration_ms", milliseconds(phase.duration)}});
  }
  json["filesystems"] = record.filesystems;
  json["resources"] = Json::array();
  for (const ResourceRecord& resource : record.resources) {
    json["resources"].push_back(resource_json(resource));
  }
  return json;
}

base::Error daemon_restarted() {
  return {base::ErrorCode::kDaemonRestarted,
          "the holds were lost: holdfastd restarted during the window"};
}

base::Json lost_with_its_daemon(base::Json held) {
  const Verdict verdict = verdict_of(daemon_restarted());
  held["state"] = "done";
  held["verdict"] = {{"code", verdict.code}, {"status", verdict.status}, {"text", verdict.text}};
  return held;
}

PhaseTimer::PhaseTimer(WindowRecord& record, const base::Clock& clock, std::string name)
    : record_(record), clock_(clock), index_(record.phases.size()) {
  record_.phases.push_back({std::move(name), clock.now(), {}});
}

PhaseTimer::~PhaseTimer() {
  Phase& phase = record_.phases[index_];
  phase.duration = clock_.now() - phase.begin;
}

}  // namespace holdfast::core
