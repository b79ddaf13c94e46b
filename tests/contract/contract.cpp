// SPDX-License-Identifier: MIT
#include "contract/contract.h"

#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>
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

namespace {

// One that has ended is at rest, too.
bool at_rest(const std::filesystem::path& thread) {
  std::ifstream stat(thread / "stat");
  std::string line;
  if (!std::getline(stat, line)) return true;
  const std::size_t state = line.rfind(')') + 2;
  return state >= line.size() || std::string("TtXZ").find(line[state]) != std::string::npos;
}

// A thread that runs when its process is stopped goes on for a while; on a busy machine long enough
// to answer a question.
void await_stop(pid_t process) {
  const std::filesystem::path threads = "/proc/" + std::to_string(process) + "/task";
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  const auto stopped = [&] {
    std::error_code ended;
    const std::filesystem::directory_iterator all(threads, ended);
    return std::all_of(begin(all), end(all), [](const auto& thread) { return at_rest(thread); });
  };
  while (!stopped()) {
    if (std::chrono::steady_clock::now() > give_up) throw std::runtime_error("it does not stop");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void send(pid_t process, int signal) {
  ::kill(process, signal);
  if (signal == SIGSTOP) await_stop(process);
}

}  // namespace

void signal_family(pid_t process, int signal) {
  const std::string id = std::to_string(process);
  std::ifstream children("/proc/" + id + "/task/" + id + "/children");
  // The parent first when stopping: it makes no more children then.
  send(process, signal);
  for (pid_t child = 0; children >> child;)
    send(child, signal);
}

}  // namespace holdfast::contract
