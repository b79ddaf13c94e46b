// SPDX-License-Identifier: MIT
//
// Loads one plugin module and drives it by lines on standard input, for tests that are processes:
//
//   plugin_driver MODULE RESOURCE STATE_DIRECTORY RUN_FILE
//
//   set KEY VALUE | finish FILE | probe MS | prepare MS | hold MS | check MS | release MS
//   extend MS | rollback MS | max-hold MS | watch MS | drop | memory | quit
//
// MS is the call's deadline; `watch` polls the descriptor of the hold, or of the idle plugin. Each
// line is answered by one line of JSON: {"ok": true, …} or {"ok": false, "code": …, "line": …},
// with "ms", how long the call took.
#include <dlfcn.h>
#include <poll.h>

#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>

#include "api/plugin.h"
#include "base/json_codec.h"

namespace {

using holdfast::base::Deadline;
using holdfast::base::Json;
using holdfast::base::Millis;
namespace api = holdfast::api;
namespace base = holdfast::base;

Json answer_for(const base::Error& error) {
  return {{"ok", false}, {"code", base::name_of(error.code())}, {"line", error.one_line()}};
}

Json pairs(const api::Position& position) {
  Json object = Json::object();
  for (const auto& [key, value] : position)
    object[key] = value;
  return object;
}

Json described(const api::Identity& identity) {
  return {{"engine", identity.engine},
          {"version", identity.version},
          {"server_uuid", identity.server_uuid},
          {"session_id", identity.session_id}};
}

long resident_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word != "VmRSS:") continue;
    long kib = 0;
    status >> kib;
    return kib;
  }
  return 0;
}

class Driver {
 public:
  explicit Driver(std::unique_ptr<api::Plugin> plugin) : plugin_(std::move(plugin)) {}

  Json run(const std::string& verb, std::istream& arguments) {
    if (verb == "set") return set(arguments);
    if (verb == "finish") return finish(arguments);
    if (verb == "memory") return {{"ok", true}, {"kib", resident_kib()}};
    if (verb == "drop") {
      hold_.reset();
      return {{"ok", true}};
    }
    Millis::rep milliseconds = 0;
    arguments >> milliseconds;
    if (verb == "max-hold") {
      window_.max_hold = Millis(milliseconds);
      return {{"ok", true}};
    }
    return timed(verb, Millis(milliseconds));
  }

 private:
  Json set(std::istream& arguments) {
    base::Setting setting{"", "", "driver:1"};
    arguments >> setting.key >> std::ws;
    std::getline(arguments, setting.value);
    const auto done = plugin_->configure(setting);
    return done ? Json{{"ok", true}} : answer_for(done.error());
  }

  Json finish(std::istream& arguments) {
    std::string file;
    arguments >> file;
    const auto done = plugin_->finish_config(file);
    return done ? Json{{"ok", true}} : answer_for(done.error());
  }

  Json timed(const std::string& verb, Millis allowed) {
    if ((verb == "check" || verb == "extend" || verb == "release" || verb == "abandon") &&
        hold_ == nullptr)
      return {{"ok", false}};
    const Deadline deadline = Deadline::in(allowed);
    if (verb == "probe") {
      const auto report = plugin_->probe(deadline, {});
      if (!report) return answer_for(report.error());
      return {{"ok", true},
              {"identity", described(report->identity)},
              {"details", pairs(report->details)},
              {"warnings", report->warnings}};
    }
    if (verb == "prepare") {
      const auto done = plugin_->prepare(window_, deadline, {});
      return done ? Json{{"ok", true}} : answer_for(done.error());
    }
    if (verb == "hold") {
      auto hold = plugin_->hold(window_, deadline, {});
      if (!hold) return answer_for(hold.error());
      hold_ = std::move(*hold);
      return {{"ok", true},
              {"identity", described(hold_->identity())},
              {"position", pairs(hold_->position())},
              {"details", pairs(hold_->details())},
              {"warnings", hold_->warnings()}};
    }
    if (verb == "check") {
      const auto position = hold_->check(deadline);
      if (!position) return answer_for(position.error());
      return {{"ok", true}, {"position", pairs(*position)}};
    }
    if (verb == "extend") {
      const auto done = hold_->extend(window_, deadline);
      return done ? Json{{"ok", true}} : answer_for(done.error());
    }
    if (verb == "release") {
      const auto done = hold_->release(deadline);
      if (!done) return answer_for(done.error());
      const api::ReleaseReport report = hold_->release_report();
      return {{"ok", true}, {"position", pairs(report.position)}, {"files", pairs(report.files)}};
    }
    if (verb == "abandon") {
      const auto done = hold_->abandon(deadline);
      return done ? Json{{"ok", true}} : answer_for(done.error());
    }
    if (verb == "rollback") {
      plugin_->rollback(deadline);
      return {{"ok", true}};
    }
    if (verb == "watch") {
      const int fd = hold_ != nullptr ? hold_->watch_fd() : plugin_->watch_fd();
      pollfd watched{fd, POLLIN | POLLRDHUP, 0};
      const bool shown = ::poll(&watched, 1, static_cast<int>(allowed.count())) > 0;
      return {{"ok", true}, {"shown", shown}, {"hang_up", (watched.revents & POLLRDHUP) != 0}};
    }
    return {{"ok", false}, {"line", "unknown verb"}};
  }

  api::Window window_{"0b7f4a52-4c86-4d0c-9a53-6a2f0e1b7c11", Millis(60000)};
  std::unique_ptr<api::Plugin> plugin_;
  std::unique_ptr<api::Hold> hold_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: plugin_driver MODULE RESOURCE STATE_DIRECTORY RUN_FILE\n";
    return 64;
  }
  std::cout << base::to_line({{"ok", true}, {"kib", resident_kib()}}) << std::endl;
  void* module = ::dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  const auto entry = module == nullptr
                         ? nullptr
                         : reinterpret_cast<api::ModuleEntry>(::dlsym(module, api::kModuleEntry));
  if (entry == nullptr) {
    std::cerr << ::dlerror() << '\n';
    return 1;
  }
  base::SystemProcessRunner processes;
  Driver driver(entry()->create({argv[2], processes, argv[3], argv[4]}));
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string verb;
    words >> verb;
    if (verb == "quit") break;
    const auto start = std::chrono::steady_clock::now();
    Json answer = driver.run(verb, words);
    answer["ms"] =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    std::cout << base::to_line(answer) << std::endl;
  }
  return 0;
}
