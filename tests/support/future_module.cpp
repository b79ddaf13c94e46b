// SPDX-License-Identifier: MIT
//
// A module of another interface version, which holdfastd has to refuse.
#include "api/plugin.h"

extern "C" __attribute__((visibility("default"))) const holdfast::api::PluginModule*
holdfast_plugin_module() {
  static const holdfast::api::PluginModule kModule{
      sizeof(holdfast::api::PluginModule), holdfast::api::kApiVersion + 1, "future",
      // NOLINTNEXTLINE(performance-unnecessary-value-param): the interface's type
      [](holdfast::api::PluginContext) -> std::unique_ptr<holdfast::api::Plugin> {
        return nullptr;
      }};
  return &kModule;
}
