// SPDX-License-Identifier: MIT
#include "command/snapshot.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace holdfast::host::command {

using base::Error;
using base::ErrorCode;
using base::Result;
using point::Point;

namespace {

struct Action {
  std::string_view name;
  std::string_view arguments;
  std::size_t least;
  std::size_t most;
  Result<int> (*run)(const Invocation&, Environment&);
};

constexpr std::size_t kMany = 1000;
constexpr std::array<Action, 7> kActions{
    {{"create", "VM", 2, 2, snapshot_create},
     {"list", "VM", 2, 2, snapshot_list},
     {"revert", "VM POINT", 3, 3, snapshot_revert},
     {"delete", "VM POINT...", 3, kMany, snapshot_delete},
     {"prune", "VM", 2, 2, snapshot_prune},
     {"flatten", "VM", 2, 2, snapshot_flatten},
     {"extract", "VM POINT --to DIR", 3, 3, snapshot_extract}}};

Error usage(const std::string& problem) {
  return Error(ErrorCode::kUsage, problem).with_hint("holdfast --help");
}

Result<void> check_options(const Invocation& invocation, std::string_view action) {
  const auto only = [&](bool given, std::string_view option, std::string_view of) {
    return given && action != of ? Result<void>(usage("--" + std::string(option) +
                                                      " is for 'snapshot " + std::string(of) + "'"))
                                 : Result<void>();
  };
  if (auto right = only(!invocation.label.empty(), "label", "create"); !right) return right;
  if (auto right = only(invocation.with_memory, "with-memory", "create"); !right) return right;
  if (auto right = only(invocation.resume, "resume", "revert"); !right) return right;
  if (auto right = only(invocation.discard, "discard", "revert"); !right) return right;
  if (auto right = only(invocation.foreign, "foreign", "delete"); !right) return right;
  if (action == "extract" && invocation.to.empty()) return usage("extract needs --to DIR");
  if (base::printable(invocation.label, point::kLongestLabel) != invocation.label) {
    return usage("the label is not one line of at most " + std::to_string(point::kLongestLabel) +
                 " printable characters");
  }
  return {};
}

}  // namespace

Result<int> snapshot(const Invocation& invocation, Environment& environment) {
  const std::string& name = invocation.arguments.front();
  const auto action = std::find_if(kActions.begin(), kActions.end(),
                                   [&](const Action& one) { return one.name == name; });
  if (action == kActions.end()) {
    return usage("there is no 'snapshot " + base::printable(name, 64) + "'");
  }
  const std::size_t count = invocation.arguments.size();
  if (count < action->least || count > action->most) {
    return usage("usage: holdfast snapshot " + name + " " + std::string(action->arguments));
  }
  if (auto right = check_options(invocation, name); !right) return std::move(right).error();
  return action->run(invocation, environment);
}

Result<config::Settings> snapshot_settings(const Invocation& invocation, Needs needs) {
  auto settings = settings_for(invocation, invocation.arguments[1], needs);
  if (settings && !settings->container.empty()) {
    return Error(ErrorCode::kUnsupported, "'" + settings->vm +
                                              "' is a container: restore points are kept in the "
                                              "images of a machine")
        .with_hint("holdfast backup " + settings->vm);
  }
  if (!settings || settings->uri.empty()) return settings;
  return Error(ErrorCode::kUnsupported,
               "the restore points of '" + settings->vm + "' are libvirt's, which runs it")
      .with_hint("virsh snapshot-create-as and its like; 'holdfast backup' works through libvirt");
}

Result<std::unique_ptr<run::Points>> open_points(const config::Settings& settings,
                                                 image::QemuImg& images, bool quiet,
                                                 Environment& environment) {
  auto points = run::Points::open(settings, images, environment.stop);
  if (!points || quiet) return points;
  for (const std::string& line : (*points)->done())
    say(settings.vm + ": " + line);
  return points;
}

Result<const Point*> find_point(const point::Points& points, const std::string& vm,
                                std::string_view text) {
  const Point* found = nullptr;
  for (const Point& point : points.points) {
    if (text == "latest" || point.id == text) {
      found = &point;
      continue;
    }
    if (text.empty() || !point.id.starts_with(text)) continue;
    if (found != nullptr && found->id != text) {
      return Error(ErrorCode::kUsage, "several restore points of '" + vm + "' begin with '" +
                                          base::printable(text, 64) + "'");
    }
    found = &point;
  }
  if (found != nullptr) return found;
  return Error(ErrorCode::kNotFound,
               "'" + vm + "' has no restore point '" + base::printable(text, 64) + "'")
      .with_hint("holdfast snapshot list " + vm);
}

}  // namespace holdfast::host::command
