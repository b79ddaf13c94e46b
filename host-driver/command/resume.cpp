// SPDX-License-Identifier: MIT
#include "command/resume.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "base/unix_socket.h"
#include "qmp/client.h"
#include "run/wake_guest.h"

namespace holdfast::host::command {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Millis;
using base::Result;

namespace {

constexpr std::string_view kDefinition = "definition.json";
constexpr const char* kFile = "holdfast-memory";
constexpr Millis kConnects{1000};
constexpr Millis kStarts{60000};
constexpr Millis kAskAgain{100};

Result<void> require_off(const config::Settings& settings,
                         const definition::StoredCommand& command) {
  std::vector<std::string> paths = definition::listened_at(command);
  paths.push_back(settings.qmp);
  for (const std::string& path : paths) {
    if (!base::connect_unix(path, Deadline::in(kConnects))) continue;
    return Error(ErrorCode::kBusy, "the machine runs: something listens at '" +
                                       base::printable(path) + "', where it would")
        .with_hint("shut it off; without --resume its disks are restored all the same");
  }
  return {};
}

// Where it is spoken to once it is started: else it would stay there, and wait.
Result<void> require_monitor(const config::Settings& settings,
                             const definition::StoredCommand& command) {
  const std::vector<std::string> paths = definition::listened_at(command);
  const bool there = std::any_of(paths.begin(), paths.end(), [&](const std::string& path) {
    return path == std::filesystem::path(settings.qmp).lexically_normal();
  });
  if (there) return {};
  return Error(ErrorCode::kConfiguration, settings.qmp.empty()
                                              ? "'qmp' is not configured for '" + settings.vm + "'"
                                              : "the backup's command line has no monitor at '" +
                                                    base::printable(settings.qmp) +
                                                    "', which is the key 'qmp'")
      .with_hint("--resume reaches the machine there; without it the disks are restored");
}

// QEMU ends by itself when it cannot take the memory.
Error lost(Error cause) {
  return base::wrap(std::move(cause), "QEMU does not take the memory");
}

Result<void> load(qmp::Client& monitor, const std::string& memory, Deadline deadline,
                  const std::stop_token& stop) {
  const base::UniqueFd file(::open(memory.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file.valid()) {
    return base::errno_error(errno, "unable to open '" + base::printable(memory) + "'");
  }
  const auto given =
      monitor.execute_with_fd("getfd", {{"fdname", kFile}}, file.get(), Deadline::in(kStarts));
  if (!given) return given.error();
  const auto begun = monitor.execute("migrate-incoming", {{"uri", std::string("fd:") + kFile}},
                                     Deadline::in(kStarts));
  if (!begun) return begun.error();
  for (;;) {
    const auto state = monitor.execute("query-migrate", Json::object(), deadline);
    if (!state) return lost(state.error());
    const std::string status = base::string_member(*state, "status").value_or("");
    if (status == "completed") return {};
    if (status == "failed") {
      return lost(Error(ErrorCode::kRefused,
                        base::printable(base::string_member(*state, "error-desc").value_or(""))));
    }
    if (deadline.passed()) return lost(Error(ErrorCode::kTimedOut, "timed out"));
    const auto event = monitor.next_event(deadline.earlier_of(Deadline::in(kAskAgain)), stop);
    if (!event && event.error().code() != ErrorCode::kTimedOut) return lost(event.error());
  }
}

Result<void> check_machine(qmp::Client& monitor, const definition::StoredCommand& command) {
  const auto status = monitor.execute("query-status", Json::object(), Deadline::in(kStarts));
  if (!status) return status.error();
  if (base::string_member(*status, "status").value_or("") != "inmigrate") {
    return Error(ErrorCode::kBusy, "the machine at the monitor waits for no memory");
  }
  const auto type = monitor.execute("qom-get", {{"path", "/machine"}, {"property", "type"}},
                                    Deadline::in(kStarts));
  if (!type) return type.error();
  if (command.machine.empty() || *type == Json(command.machine)) return {};
  return Error(ErrorCode::kUnsupported, "this QEMU makes another machine of the same words: " +
                                            base::printable(base::to_line(*type)) +
                                            " in place of '" + base::printable(command.machine) +
                                            "'")
      .with_hint("QEMU of the version that the backup names has it");
}

Result<void> take_up(qmp::Client& monitor, const config::Settings& settings,
                     const ResumptionPlan& plan, const std::string& memory,
                     const std::stop_token& stop) {
  if (auto right = check_machine(monitor, plan.command); !right) return right;
  auto loaded = load(monitor, memory, Deadline::in(settings.copy_timeout), stop);
  if (!loaded) return loaded;
  auto running = monitor.execute("cont", Json::object(), Deadline::in(kStarts));
  if (!running) return std::move(running).error();
  return {};
}

}  // namespace

Result<ResumptionPlan> plan_resumption(const config::Settings& settings,
                                       const repository::Backup& backup,
                                       const std::map<std::string, std::string>& targets) {
  const auto& files = backup.manifest.files;
  const auto file = std::find_if(files.begin(), files.end(),
                                 [](const auto& one) { return one.file == kDefinition; });
  if (file == files.end()) {
    return Error(ErrorCode::kUnsupported, "the backup has no definition of the machine");
  }
  const auto path = repository::Repository::file_path(backup.directory, *file);
  if (!path) return path.error();
  const auto text = base::read_file(*path, file->bytes);
  if (!text) return text.error();
  auto command = definition::parse_stored_command(*text);
  if (!command) return std::move(command).error();
  std::map<std::string, std::string> images;
  for (const Json& disk : backup.manifest.document.at("disks")) {
    const auto name = base::string_member(disk, "name");
    const auto chain = base::array_member(disk, "source");
    if (!name || !chain || (*chain)->empty()) continue;
    const auto image = base::string_member((*chain)->front(), "path");
    const auto target = targets.find(*name);
    if (image && target != targets.end()) images[*image] = target->second;
  }
  if (images.size() != targets.size()) {
    return Error(ErrorCode::kCorrupt, "the manifest does not say where the disks were");
  }
  auto words = definition::resumed_words(*command, images);
  if (!words) return std::move(words).error();
  if (auto there = require_monitor(settings, *command); !there) return std::move(there).error();
  if (auto off = require_off(settings, *command); !off) return std::move(off).error();
  return ResumptionPlan{std::move(*command), std::move(*words)};
}

Result<Resumed> resume_machine(const config::Settings& settings, const ResumptionPlan& plan,
                               const std::string& memory, base::ProcessRunner& processes,
                               const std::stop_token& stop) {
  if (auto off = require_off(settings, plan.command); !off) return std::move(off).error();
  // -daemonize: it answers when it listens, says on standard error why it does not, and is nobody's
  // child then.
  std::vector<std::string> argv{"env", "-C", plan.command.working_directory};
  argv.insert(argv.end(), plan.words.begin(), plan.words.end());
  argv.emplace_back("-daemonize");
  const base::ProcessOutcome started = processes.run({.argv = std::move(argv),
                                                      .environment = {},
                                                      .deadline = Deadline::in(kStarts),
                                                      .stop = stop});
  if (!started.succeeded()) return started.as_error(plan.words.front());
  auto monitor = qmp::Client::connect(settings.qmp, Deadline::in(kStarts), stop);
  if (!monitor) {
    return base::wrap(std::move(monitor).error(),
                      "QEMU was started, but is not at the monitor that is configured");
  }
  const auto process = monitor->peer();
  if (auto taken = take_up(*monitor, settings, plan, memory, stop); !taken) {
    (void)monitor->execute("quit", Json::object(), Deadline::in(kConnects));
    return std::move(taken).error();
  }
  run::Woken woken = run::wake_guest(settings, stop);
  return Resumed{process, std::move(woken.unthawed), std::move(woken.clock_unset)};
}

}  // namespace holdfast::host::command
