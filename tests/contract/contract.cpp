// SPDX-License-Identifier: MIT
#include "contract/contract.h"

#include <dlfcn.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <utility>

namespace holdfast::contract {

std::vector<Implementation>& registry() {
  static std::vector<Implementation> implementations;
  return implementations;
}

std::unique_ptr<api::Plugin> plugin_from(const std::string& module_path,
                                         api::PluginContext context) {
  // Never unloaded: objects of its classes outlive any scope that a test could give it.
  void* module = ::dlopen(module_path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) throw std::runtime_error(::dlerror());
  const auto entry = reinterpret_cast<api::ModuleEntry>(::dlsym(module, api::kModuleEntry));
  if (entry == nullptr) throw std::runtime_error(::dlerror());
  const api::PluginModule* description = entry();
  if (description->struct_size != sizeof(api::PluginModule) ||
      description->api_version != api::kApiVersion) {
    throw std::runtime_error(module_path + " is of another version");
  }
  return description->create(std::move(context));
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) throw std::runtime_error(std::string(name) + " is not set");
  return value;
}

void signal_family(pid_t process, int signal) {
  const std::string id = std::to_string(process);
  std::ifstream children("/proc/" + id + "/task/" + id + "/children");
  // The parent first when stopping: it makes no more children then.
  ::kill(process, signal);
  for (pid_t child = 0; children >> child;)
    ::kill(child, signal);
}

}  // namespace holdfast::contract
