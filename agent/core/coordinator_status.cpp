// SPDX-License-Identifier: MIT
//
// What the coordinator shows of itself. Its own file because it runs on other threads than the
// rest: nothing here may touch more than the atomics, what shown_mutex_ guards, and views.
#include "base/duration.h"
#include "core/coordinator.h"

namespace holdfast::core {

namespace {

using base::Json;
using base::Millis;
using namespace std::chrono_literals;

constexpr Millis kOverdueGrace = 10s;

std::string_view name_of(Resource::Health health) {
  switch (health) {
    case Resource::Health::kConnecting:
      return "connecting";
    case Resource::Health::kReady:
      return "ready";
    case Resource::Health::kUnready:
      return "not-ready";
    case Resource::Health::kHeld:
      return "held";
    case Resource::Health::kLost:
      return "lost";
  }
  return "unknown";
}

Json resource_json(const Resource& resource) {
  const Resource::Traits& traits = resource.traits();
  const Resource::View view = resource.view();
  Json json{{"name", traits.name},
            {"plugin", traits.plugin},
            {"required", traits.required},
            {"order", traits.order},
            {"state", name_of(view.health)},
            {"engine", view.report.identity.engine},
            {"version", view.report.identity.version},
            {"server_uuid", view.report.identity.server_uuid},
            {"session_id", view.report.identity.session_id},
            {"text", view.problem ? view.problem->one_line() : std::string()},
            {"warnings", view.report.warnings}};
  Json details = Json::object();
  for (const auto& [key, value] : view.report.details)
    details[key] = value;
  if (!details.empty()) json["details"] = std::move(details);
  return json;
}

}  // namespace

Json Coordinator::status() const {
  Json json{{"holdfast", HOLDFAST_VERSION}, {"state", std::string(core::name_of(state_.load()))}};
  {
    const std::lock_guard lock(shown_mutex_);
    json["window"] = shown_.window.empty() ? Json(nullptr) : Json(shown_.window);
    if (shown_.since) json["since"] = base::format_time(shown_.since->wall);
    json["last"] = shown_.last ? *shown_.last : Json(nullptr);
  }
  json["resources"] = Json::array();
  for (const auto& resource : resources_)
    json["resources"].push_back(resource_json(*resource));
  return json;
}

std::string Coordinator::summary() const {
  std::size_t ready = 0;
  for (const auto& resource : resources_) {
    const auto health = resource->view().health;
    if (health == Resource::Health::kReady || health == Resource::Health::kHeld) ++ready;
  }
  return std::string(core::name_of(state_.load())) + ": " + std::to_string(ready) + " of " +
         std::to_string(resources_.size()) + " resources ready";
}

bool Coordinator::is_overdue() const {
  for (const auto& resource : resources_) {
    if (resource->overdue(kOverdueGrace)) return true;
  }
  return false;
}

}  // namespace holdfast::core
