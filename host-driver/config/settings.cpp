// SPDX-License-Identifier: MIT
#include "config/settings.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/text.h"
#include "config/options.h"
#include "config/typed_settings.h"

namespace holdfast::host::config {

using base::Error;
using base::ErrorCode;
using base::Options;
using base::OptionTable;
using base::Result;
using base::Setting;

namespace {

constexpr std::string_view kSuffix = ".conf";

struct Layer {
  std::string file;
  std::vector<Setting> settings;
};

// The settings of a file, checked against its own table. A missing file has none.
Result<std::vector<Setting>> read_checked(const std::string& path, OptionTable table) {
  auto settings = base::read_settings(path);
  if (!settings) {
    if (settings.error().code() == ErrorCode::kNotFound) return std::vector<Setting>{};
    return settings;
  }
  Options options(std::move(table));
  if (auto set = options.set_all(*settings); !set) return std::move(set).error();
  return settings;
}

// The files that say anything.
std::string names_of(const std::vector<Layer>& layers) {
  std::string names;
  for (const Layer& layer : layers) {
    if (!layer.settings.empty()) {
      names += (names.empty() ? "" : " with ") + base::in_quotes(layer.file);
    }
  }
  return names;
}

}  // namespace

Result<Settings> load_settings(const std::string& config_directory, const std::string& vm,
                               const std::vector<Setting>& overrides) {
  Options options(all_options());
  if (auto set = options.set_all(overrides); !set) {
    return Error(ErrorCode::kUsage, set.error().message()).with_hint(set.error().hint());
  }
  std::set<std::string> given;
  for (const Setting& setting : overrides)
    given.insert(setting.key);

  std::vector<Layer> layers;
  if (!vm.empty()) {
    const std::string path = config_directory + "/vms.d/" + vm + std::string(kSuffix);
    auto own = read_checked(path, machine_file_options());
    if (!own) return std::move(own).error();
    layers.push_back({path, std::move(*own)});
  }
  const std::string path = config_directory + "/host.conf";
  auto shared = read_checked(path, host_file_options());
  if (!shared) return std::move(shared).error();
  layers.push_back({path, std::move(*shared)});
  for (const auto& [file, layer] : layers) {
    for (const Setting& setting : layer) {
      if (given.contains(setting.key)) continue;
      if (auto set = options.set(setting); !set) return std::move(set).error();
    }
    for (const Setting& setting : layer)
      given.insert(setting.key);
  }
  auto settings = typed_settings(vm, options);
  if (settings) return settings;
  // What the files say alone is right: then it is the command line that makes it wrong.
  if (!overrides.empty() && load_settings(config_directory, vm, {})) {
    return Error(ErrorCode::kUsage, settings.error().text()).with_hint(settings.error().hint());
  }
  return base::wrap(std::move(settings).error(), "unable to use " + names_of(layers));
}

Result<std::vector<std::string>> configured_vms(const std::string& config_directory) {
  const std::string directory = config_directory + "/vms.d";
  std::vector<std::string> names;
  std::error_code problem;
  auto entry = std::filesystem::directory_iterator(directory, problem);
  for (; !problem && entry != std::filesystem::directory_iterator(); entry.increment(problem)) {
    const std::string name = entry->path().filename().string();
    if (!name.ends_with(kSuffix)) continue;
    const std::string vm = name.substr(0, name.size() - kSuffix.size());
    if (base::is_plain_name(vm)) names.push_back(vm);
  }
  if (problem && problem != std::errc::no_such_file_or_directory) {
    return base::errno_error(problem.value(),
                             "unable to list '" + base::printable(directory) + "'");
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace holdfast::host::config
