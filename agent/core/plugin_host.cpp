// SPDX-License-Identifier: MIT
#include "core/plugin_host.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/text.h"

namespace holdfast::core {

namespace {

using base::Error;
using base::ErrorCode;
using base::Result;

// Gives a plugin its settings. Plugins are not trusted not to throw.
Result<void> configure(api::Plugin& plugin, const ResourceConfig& resource) {
  try {
    for (const base::Setting& setting : resource.settings) {
      if (auto set = plugin.configure(setting); !set) return set;
    }
    return plugin.finish_config(resource.file);
  } catch (const std::exception& problem) {
    return Error(ErrorCode::kInternal,
                 resource.file + ": plugin '" + resource.plugin +
                     "' threw an exception: " + base::printable(problem.what()));
  } catch (...) {
    return Error(ErrorCode::kInternal,
                 resource.file + ": plugin '" + resource.plugin + "' threw an unknown exception");
  }
}

}  // namespace

PluginHost::PluginHost(std::string directory) : directory_(std::move(directory)) {}

Result<void> check_module(const api::PluginModule* module, const std::string& name,
                          const std::string& path) {
  const std::string what = "unable to use the plugin '" + path + "': ";
  if (module == nullptr) return Error(ErrorCode::kMisconfigured, what + "it describes nothing");
  // The size first: with another one, the fields behind it are not where they seem to be.
  if (module->struct_size != sizeof(api::PluginModule)) {
    return Error(ErrorCode::kMisconfigured,
                 what + "its description has " + std::to_string(module->struct_size) +
                     " bytes, holdfastd's has " + std::to_string(sizeof(api::PluginModule)))
        .with_hint("install the plugin package of the same version as holdfast-agent");
  }
  if (module->api_version != api::kApiVersion) {
    return Error(ErrorCode::kMisconfigured,
                 what + "its interface is version " + std::to_string(module->api_version) +
                     ", holdfastd's is version " + std::to_string(api::kApiVersion))
        .with_hint("install the plugin package of the same version as holdfast-agent");
  }
  if (module->name == nullptr || module->create == nullptr || module->name != name) {
    return Error(ErrorCode::kMisconfigured,
                 what + "it calls itself '" +
                     base::printable(module->name == nullptr ? "" : module->name, 64) + "'");
  }
  return {};
}

Result<const api::PluginModule*> PluginHost::load(const std::string& name) {
  if (const auto found = modules_.find(name); found != modules_.end()) return found->second;
  const std::string path = directory_ + "/holdfast-" + name + ".so";
  if (::access(path.c_str(), F_OK) != 0) {
    return base::errno_error(errno, "unable to open '" + path + "'")
        .with_hint("install the package holdfast-plugin-" + name);
  }
  // NOW: a missing symbol is an error of the start, not of the night. LOCAL: two plugins may bring
  // client libraries with the same symbols (libmariadb and libmysqlclient do).
  void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* problem = ::dlerror();
    return Error(ErrorCode::kMisconfigured,
                 "unable to load '" + path +
                     "': " + base::printable(problem != nullptr ? problem : "unknown cause"));
  }
  const auto entry = reinterpret_cast<api::ModuleEntry>(::dlsym(handle, api::kModuleEntry));
  if (entry == nullptr) {
    return Error(ErrorCode::kMisconfigured,
                 "unable to use the plugin '" + path + "': it has no '" + api::kModuleEntry + "'");
  }
  const api::PluginModule* module = entry();
  if (auto usable = check_module(module, name, path); !usable) return std::move(usable).error();
  modules_.emplace(name, module);
  return module;
}

Result<std::unique_ptr<api::Plugin>> PluginHost::create(const ResourceConfig& resource,
                                                        api::PluginContext context) {
  auto module = load(resource.plugin);
  if (!module) {
    return Error(ErrorCode::kMisconfigured,
                 resource.file + ": plugin '" + resource.plugin + "' cannot be had")
        .caused_by(std::move(module).error());
  }
  std::unique_ptr<api::Plugin> plugin;
  try {
    plugin = (*module)->create(std::move(context));
  } catch (const std::exception& problem) {
    return Error(ErrorCode::kInternal,
                 resource.file + ": plugin '" + resource.plugin +
                     "' threw an exception: " + base::printable(problem.what()));
  }
  if (!plugin) {
    return Error(ErrorCode::kInternal,
                 resource.file + ": plugin '" + resource.plugin + "' made nothing");
  }
  if (auto configured = configure(*plugin, resource); !configured) {
    return std::move(configured).error();
  }
  return plugin;
}

}  // namespace holdfast::core
