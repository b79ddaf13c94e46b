// SPDX-License-Identifier: MIT
//
// holdfastd: parses, wires and runs.
#include <malloc.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/process_runner.h"
#include "core/config.h"
#include "core/plugin_host.h"
#include "daemon/daemon.h"
#include "daemon/options.h"

namespace {

using holdfast::base::Error;
using holdfast::base::ErrorCode;
using holdfast::base::Result;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
// What a sanitizer keeps for each thread stands on its stack, and no thread begins without room.
constexpr std::size_t kThreadStack = std::size_t{8} * 1024 * 1024;
#else
constexpr std::size_t kThreadStack = std::size_t{512} * 1024;
#endif

int complain(const Error& error) {
  (void)std::fprintf(stderr, "holdfastd: %s\n", error.one_line().c_str());
  return holdfast::base::guest_exit_status(error.code());
}

// Small, and closed to others: passwords of databases are in this process's memory.
void prepare_process() {
  (void)::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  (void)::umask(022);
  // An arena per thread would keep freed memory resident, times the number of threads.
  (void)::mallopt(M_ARENA_MAX, 1);
  pthread_attr_t attributes;
  if (::pthread_attr_init(&attributes) == 0) {
    // Client libraries are content with less; the default of 8 MiB per thread counts as locked.
    (void)::pthread_attr_setstacksize(&attributes, kThreadStack);
    (void)::pthread_setattr_default_np(&attributes);
    (void)::pthread_attr_destroy(&attributes);
  }
  holdfast::daemon::block_signals();
}

Result<std::vector<std::unique_ptr<holdfast::api::Plugin>>> make_plugins(
    const holdfast::core::AgentConfig& config, holdfast::base::ProcessRunner& processes) {
  holdfast::core::PluginHost host(config.plugin_directory);
  std::vector<std::unique_ptr<holdfast::api::Plugin>> plugins;
  for (const auto& resource : config.resources) {
    const std::string own = resource.name.substr(resource.plugin.size() + 1);
    auto plugin = host.create(
        resource, {resource.name, processes, config.state_directory + "/resources/" + own,
                   config.run_directory + "/" + own + ".resource"});
    if (!plugin) return std::move(plugin).error();
    plugins.push_back(std::move(*plugin));
  }
  return plugins;
}

void print_config(const holdfast::core::AgentConfig& config,
                  const std::vector<std::unique_ptr<holdfast::api::Plugin>>& plugins) {
  (void)std::fputs(config.options.print().c_str(), stdout);
  for (std::size_t i = 0; i < plugins.size(); ++i) {
    const auto& resource = config.resources.at(i);
    (void)std::printf("\n# %s (%s)\n%s%s", resource.name.c_str(), resource.file.c_str(),
                      resource.printed.c_str(), plugins[i]->print_config().c_str());
  }
}

int run(int argc, char** argv) {
  auto line = holdfast::daemon::parse_command_line(argc, argv);
  if (!line) return complain(line.error());
  if (line->help) {
    (void)std::fputs(holdfast::daemon::usage_text().c_str(), stdout);
    return 0;
  }
  if (line->version) {
    (void)std::puts("holdfastd " HOLDFAST_VERSION);
    return 0;
  }
  prepare_process();
  auto config = holdfast::core::load_config(line->config_path, line->config_named);
  if (!config) return complain(config.error());
  holdfast::base::SystemProcessRunner processes;
  auto plugins = make_plugins(*config, processes);
  if (!plugins) return complain(plugins.error());
  if (line->print_config) {
    print_config(*config, *plugins);
    return 0;
  }
  if (line->check_config) {
    (void)std::printf("configuration is right: %zu resources\n", config->resources.size());
    return 0;
  }
  holdfast::daemon::Daemon daemon(std::move(*config), std::move(*plugins));
  if (auto started = daemon.start(); !started) return complain(started.error());
  return daemon.run();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& problem) {
    (void)std::fprintf(stderr, "holdfastd: %s\n", problem.what());
    return 1;
  }
}
