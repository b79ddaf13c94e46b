// SPDX-License-Identifier: MIT
//
// Finds and loads plugin modules: holdfast-NAME.so in the plugin directory. A module that is not of
// this very interface is refused, with both numbers in the message.
//
// Modules are never unloaded: code of client libraries may run at exit, and threads of theirs may
// still stand in it.
//
// Threads: the main thread, at the start.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "api/plugin.h"
#include "base/result.h"
#include "core/config.h"

namespace holdfast::core {

class PluginHost {
 public:
  explicit PluginHost(std::string directory);

  // A plugin object for this resource, with all of its settings taken and judged. kConfiguration
  // for what is wrong with the file, kMisconfigured for what is wrong with the module.
  [[nodiscard]] base::Result<std::unique_ptr<api::Plugin>> create(const ResourceConfig& resource,
                                                                  api::PluginContext context);

 private:
  [[nodiscard]] base::Result<const api::PluginModule*> load(const std::string& name);

  std::string directory_;
  std::map<std::string, const api::PluginModule*> modules_;
};

// Is this module's table one that this daemon can use? The part of load() that needs no module.
[[nodiscard]] base::Result<void> check_module(const api::PluginModule* module,
                                              const std::string& name, const std::string& path);

}  // namespace holdfast::core
