// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <iostream>
#include <map>
#include <optional>

#include "base/text.h"
#include "command/backup_group.h"
#include "command/chosen_backup.h"
#include "command/commands.h"
#include "command/restore.h"
#include "command/restore_archive.h"
#include "command/restored_backup.h"
#include "command/resume.h"
#include "repository/paths.h"
#include "ui/progress_bar.h"

namespace holdfast::host::command {

using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;
using repository::Backup;
using repository::DiskEntry;
using repository::FileEntry;

namespace {

void print_restored(const Json& restored) {
  const auto text = [](const Json& object, const char* key) {
    return object.at(key).get<std::string>();
  };
  std::cout << text(restored, "vm") << ": " << text(restored, "id")
            << ": restored; to boot, in this order:\n";
  for (const Json& image : restored.at("images")) {
    std::cout << "  -drive file=" << base::printable(text(image, "path"))
              << ",format=" << text(image, "format")
              << (image.at("pflash").is_null()
                      ? ",if=virtio"
                      : ",if=pflash,unit=" + base::to_line(image.at("pflash")))
              << "\n";
  }
  for (const Json& file : restored.at("files"))
    std::cout << "  " << text(file, "what") << ": " << base::printable(text(file, "path")) << "\n";
}

// As the words of the machine's command line have it.
std::string format_before(const Backup& backup, const DiskEntry& disk) {
  for (const Json& entry : backup.manifest.document.at("disks")) {
    if (base::string_member(entry, "name").value_or("") != disk.name) continue;
    return base::string_member(entry, "format").value_or("") == "raw" ? "raw" : "qcow2";
  }
  return "qcow2";
}

Restoration wanted_of(const ChosenBackup& chosen, const Invocation& invocation) {
  Restoration wanted;
  wanted.directory = invocation.to;
  for (const DiskEntry& disk : chosen.disks) {
    // Flash has no format: a machine reads it as it is.
    const std::string format = disk.pflash         ? "raw"
                               : invocation.resume ? format_before(chosen.backup, disk)
                                                   : invocation.format;
    wanted.disks.push_back(
        {disk, format, invocation.to + "/" + disk.name + "." + (disk.pflash ? "fd" : format)});
  }
  // Who names disks wants nothing else.
  if (invocation.disks.empty()) wanted.files = chosen.backup.manifest.files;
  return wanted;
}

Result<ResumptionPlan> plan_for(const ChosenBackup& chosen, const Restoration& wanted) {
  if (!chosen.backup.manifest.memory) {
    return Error(ErrorCode::kUnsupported,
                 "the backup has no memory to be continued from: it is no checkpoint")
        .with_hint("without --resume its disks are restored");
  }
  std::map<std::string, std::string> targets;
  for (const RestoredDisk& target : wanted.disks)
    targets[target.disk.name] = target.path;
  return plan_resumption(chosen.settings, chosen.backup, targets);
}

Json told_of(const Backup& backup, const Restoration& restored) {
  Json images = Json::array();
  for (const RestoredDisk& target : restored.disks) {
    images.push_back({{"disk", target.disk.name},
                      {"path", target.path},
                      {"format", target.format},
                      {"virtual_size", target.disk.virtual_size},
                      {"pflash", target.disk.pflash ? Json(*target.disk.pflash) : Json()}});
  }
  Json files = Json::array();
  for (const FileEntry& file : restored.files)
    files.push_back({{"what", file.what}, {"path", restored.directory + "/" + file.file}});
  return {{"vm", backup.manifest.vm},
          {"id", backup.manifest.id},
          {"images", std::move(images)},
          {"files", std::move(files)}};
}

Json text_or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

// A machine that runs and does not do all that it should is told of as an error.
Result<Json> all_of(Json all, const Resumed& resumed, const Invocation& invocation) {
  all["resumed"] = {{"process", resumed.process},
                    {"not_thawed", text_or_null(resumed.unthawed)},
                    {"clock_not_set", text_or_null(resumed.clock_unset)}};
  if (!resumed.unthawed.empty()) {
    return Error(ErrorCode::kGuest, "the machine is continued as process " +
                                        std::to_string(resumed.process) +
                                        ", but its guest may be frozen: " + resumed.unthawed)
        .with_hint("holdfast thaw " + invocation.arguments[0] + ", and set its clock");
  }
  if (!resumed.clock_unset.empty()) {
    complain(Error(ErrorCode::kGuest,
                   "the clock of the guest is not set, continuing: it shows the "
                   "time of the checkpoint: " +
                       resumed.clock_unset));
  }
  if (!invocation.json && !invocation.quiet) {
    std::cout << invocation.arguments[0] << ": " << all["id"].get<std::string>()
              << ": continued as process " << resumed.process << "; the guest is thawed"
              << (resumed.clock_unset.empty() ? ", its clock is set\n" : "\n");
  }
  return all;
}

}  // namespace

Result<Json> restore_machine(const Invocation& invocation, Environment& environment) {
  const std::string& vm = invocation.arguments[0];
  const auto chosen = choose_backup(invocation);
  if (!chosen) return chosen.error();
  if (invocation.into_running) return restore_into_running(*chosen, invocation, environment);
  if (chosen->backup.manifest.archive) return restore_archive(*chosen, invocation, environment);
  const Backup& backup = chosen->backup;
  Restoration wanted = wanted_of(*chosen, invocation);
  std::optional<ResumptionPlan> plan;
  if (invocation.resume) {
    auto planned = plan_for(*chosen, wanted);
    if (!planned) return std::move(planned).error();
    plan = std::move(*planned);
    wanted.memory = invocation.to + "/" + std::string(repository::kMemoryName);
  }
  if (auto absent = require_absent(wanted); !absent) return std::move(absent).error();

  ui::ProgressBar bar(!invocation.quiet && ui::terminal_attached());
  auto done = restore_files(
      *chosen, wanted, environment,
      [&](const std::string& doing, double percent) { bar.update(vm + ": " + doing, percent); });
  bar.clear();
  if (!done) return std::move(done).error();
  Json all = told_of(backup, wanted);
  if (plan) {
    auto resumed = resume_machine(chosen->settings, *plan, wanted.memory, environment.processes,
                                  environment.stop);
    if (!resumed) {
      return base::wrap(std::move(resumed).error(),
                        "its disks and memory are in '" + base::printable(invocation.to) +
                            "', but the machine could not be continued");
    }
    // With the next write of the guest to its disks it is worth nothing, and harm if it is used.
    (void)::unlink(wanted.memory.c_str());
    return all_of(std::move(all), *resumed, invocation);
  }
  if (!invocation.json && !invocation.quiet) print_restored(all);
  return all;
}

Result<int> restore(const Invocation& invocation, Environment& environment) {
  if (!invocation.group.empty()) return restore_group(invocation, environment);
  const auto restored = restore_machine(invocation, environment);
  if (!restored) return restored.error();
  if (invocation.json) std::cout << base::to_document(*restored);
  return 0;
}

}  // namespace holdfast::host::command
