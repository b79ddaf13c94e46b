// SPDX-License-Identifier: MIT
#include "coordinator_fixture.h"

#include <spdlog/sinks/null_sink.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"

namespace holdfast::core {

CoordinatorStage::CoordinatorStage(std::optional<Times> times)
    : times_(times),
      ring_(std::make_shared<LogRing>(std::make_shared<spdlog::sinks::null_sink_mt>())),
      log_(std::make_unique<spdlog::logger>("test", ring_)) {}

CoordinatorStage::~CoordinatorStage() {
  // A stuck call keeps its thread until it is let go.
  for (const auto& server : servers_)
    server->unstick();
  coordinator_.reset();
}

support::FakeServer& CoordinatorStage::add(const std::string& name, bool required,
                                           std::int64_t order) {
  const std::string resource = "fake:" + name;
  servers_.push_back(std::make_shared<support::FakeServer>(resource, calls_));
  plans_.push_back({{resource, "fake", required, order}, servers_.back()});
  return *servers_.back();
}

Coordinator& CoordinatorStage::coordinator() {
  if (coordinator_) return *coordinator_;
  journal_ =
      std::make_unique<Journal>(directory_.file("state"), directory_.file("run"), std::size_t{20});
  EXPECT_TRUE(journal_->open());
  Resources resources;
  for (const Plan& plan : plans_) {
    resources.push_back(std::make_unique<Resource>(
        plan.traits,
        std::make_unique<support::FakePlugin>(plan.traits.name, plan.server, processes_), clock_,
        bell_, [this] { bell_.ring(); }));
  }
  if (!times_) {
    const bool hurried = std::any_of(servers_.begin(), servers_.end(),
                                     [](const auto& server) { return server->hangs(); });
    times_ = hurried ? Times{kHurried, kHurried, kGrace} : kPatient;
  }
  coordinator_ = std::make_unique<Coordinator>(
      CoordinatorSettings{times_->freeze, times_->thaw, kMaxHold, {"/fake"}, false, times_->grace},
      CoordinatorWorld{clock_, filesystems_, dead_man_, *journal_, bell_, *log_, *ring_,
                       thaw_watch_},
      std::move(resources));
  for (const Plan& plan : plans_)
    await([&] { return state_of(plan.traits.name) != "connecting"; });
  calls_.clear();
  return *coordinator_;
}

void CoordinatorStage::crash() {
  // A destructor is orderly and lets go; what a crash leaves behind is put back.
  const std::string marker = directory_.file("run/window.json");
  const auto left = base::read_file(marker, 100'000);
  coordinator_.reset();
  if (left) {
    EXPECT_TRUE(base::write_file(marker, *left, 0644, base::Durable::kNo));
  }
}

base::Result<void> CoordinatorStage::thaw() {
  auto outcome = coordinator().thaw();
  coordinator().settle();
  return outcome;
}

std::string CoordinatorStage::said(const base::Result<void>& result) {
  if (result) return "ok";
  return std::string(base::name_of(result.error().code())) + ": " + result.error().text();
}

std::vector<std::string> CoordinatorStage::locked() const {
  std::vector<std::string> names;
  for (const auto& server : servers_) {
    if (server->is_locked()) names.push_back(server->name());
  }
  return names;
}

base::Json CoordinatorStage::last_record() const {
  const auto text = base::read_file(directory_.file("run/last.json"), 100'000);
  if (!text) return nullptr;
  auto json = base::parse_json(*text);
  return json ? *json : base::Json(nullptr);
}

base::Json CoordinatorStage::disk_record() const {
  const auto text = base::read_file(directory_.file("state/freeze.json"), 100'000);
  if (!text) return nullptr;
  auto json = base::parse_json(*text);
  return json ? *json : base::Json(nullptr);
}

bool CoordinatorStage::marker_exists() const {
  return std::filesystem::exists(directory_.file("run/window.json"));
}

std::string CoordinatorStage::state_of(const std::string& resource) {
  const base::Json status = coordinator_->status();
  for (const base::Json& entry : status["resources"]) {
    if (entry["name"] == resource) return entry["state"];
  }
  return "absent";
}

}  // namespace holdfast::core
