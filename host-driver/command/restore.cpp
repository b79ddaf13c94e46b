// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <iostream>
#include <map>
#include <optional>

#include "base/text.h"
#include "command/backup_check.h"
#include "command/backup_group.h"
#include "command/chosen_backup.h"
#include "command/commands.h"
#include "command/fresh_files.h"
#include "command/partial_file.h"
#include "command/restore.h"
#include "command/restore_archive.h"
#include "command/restored_file.h"
#include "command/restored_memory.h"
#include "command/resume.h"
#include "repository/paths.h"
#include "ui/progress_bar.h"

namespace holdfast::host::command {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;
using repository::Backup;
using repository::DiskEntry;
using repository::FileEntry;

namespace {

Result<void> write_image(const std::vector<image::Layer>& stored, const std::string& target,
                         const std::string& format, image::QemuImg& images, Deadline deadline,
                         const std::stop_token& stop, const image::Progress& progress) {
  const auto source = image::source_of(stored);
  if (!source) return source.error();
  auto partial = PartialFile::of(target);
  if (!partial) return std::move(partial).error();
  auto done = images.convert(*source, partial->path(), format, deadline, stop, progress);
  if (!done) return done;
  return partial->keep();
}

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
  const config::Settings& settings = chosen->settings;
  const Backup& backup = chosen->backup;
  const std::vector<DiskEntry>& disks = chosen->disks;
  // Flash has no format: a machine reads it as it is.
  const auto format_of = [&](const DiskEntry& disk) {
    if (disk.pflash) return std::string("raw");
    return invocation.resume ? format_before(backup, disk) : invocation.format;
  };
  const auto target_of = [&](const DiskEntry& disk) {
    return invocation.to + "/" + disk.name + "." + (disk.pflash ? "fd" : format_of(disk));
  };
  const std::string memory = invocation.to + "/" + std::string(repository::kMemoryName);
  std::optional<ResumptionPlan> plan;
  if (invocation.resume) {
    if (!backup.manifest.memory) {
      return Error(ErrorCode::kUnsupported,
                   "the backup has no memory to be continued from: it is no checkpoint")
          .with_hint("without --resume its disks are restored");
    }
    std::map<std::string, std::string> targets;
    for (const DiskEntry& disk : disks)
      targets[disk.name] = target_of(disk);
    auto planned = plan_resumption(settings, backup, targets);
    if (!planned) return std::move(planned).error();
    plan = std::move(*planned);
    if (auto absent = require_absent(memory); !absent) return std::move(absent).error();
  }
  for (const DiskEntry& disk : disks) {
    if (auto absent = require_absent(target_of(disk)); !absent) return std::move(absent).error();
  }
  // Who names disks wants nothing else.
  std::vector<FileEntry> files;
  if (invocation.disks.empty()) files = backup.manifest.files;
  for (const FileEntry& file : files) {
    auto absent = require_absent(invocation.to + "/" + file.file);
    if (!absent) return std::move(absent).error();
  }

  image::QemuImg images(environment.processes, settings.qemu_img);
  BackupCheck check(chosen->repository, images, settings.copy_timeout, environment.stop);
  ui::ProgressBar bar(!invocation.quiet && ui::terminal_attached());
  const auto showing = [&](const std::string& doing) {
    return [&bar, label = vm + ": " + doing](double percent) { bar.update(label, percent); };
  };
  // All of them before the first is written: a disk that is of no use is told early.
  std::vector<std::vector<image::Layer>> stored;
  for (const DiskEntry& disk : disks) {
    auto sound = check.check_disk(backup, disk, showing("verifying " + disk.name));
    if (!sound) return std::move(sound).error();
    stored.push_back(std::move(*sound));
  }
  for (const FileEntry& file : files) {
    auto sound = check.check_file(backup, file);
    if (!sound) {
      return base::wrap(std::move(sound).error(), "unable to restore the " + file.what)
          .with_hint("'--disk NAME' restores disks alone");
    }
  }
  if (plan) {
    auto sound = check.check_file(backup, backup.manifest.memory->file);
    if (!sound) {
      return base::wrap(std::move(sound).error(), "unable to restore the memory")
          .with_hint("without --resume the disks alone are restored");
    }
  }
  auto fresh = FreshFiles::in(invocation.to);
  if (!fresh) return std::move(fresh).error();
  Json written = Json::array();
  for (std::size_t i = 0; i < disks.size(); ++i) {
    const DiskEntry& disk = disks[i];
    const std::string target = target_of(disk);
    auto done =
        write_image(stored[i], target, format_of(disk), images, Deadline::in(settings.copy_timeout),
                    environment.stop, showing("writing " + disk.name));
    if (!done) return std::move(done).error();
    if (auto added = fresh->add(target); !added) return std::move(added).error();
    written.push_back({{"disk", disk.name},
                       {"path", target},
                       {"format", format_of(disk)},
                       {"virtual_size", disk.virtual_size},
                       {"pflash", disk.pflash ? Json(*disk.pflash) : Json()}});
  }
  Json restored = Json::array();
  for (const FileEntry& file : files) {
    auto done = restore_file(backup, file, invocation.to);
    if (!done) return std::move(done).error();
    const std::string target = invocation.to + "/" + file.file;
    if (auto added = fresh->add(target); !added) return std::move(added).error();
    restored.push_back({{"what", file.what}, {"path", target}});
  }
  if (plan) {
    showing("writing memory")(0);
    auto done = restore_memory(backup, memory, environment.processes,
                               Deadline::in(settings.copy_timeout), environment.stop);
    if (!done) return std::move(done).error();
    if (auto added = fresh->add(memory); !added) return std::move(added).error();
  }
  if (auto flushed = repository::flush_directory(invocation.to); !flushed) {
    return std::move(flushed).error();
  }
  fresh->keep();
  bar.clear();
  Json all{{"vm", vm},
           {"id", backup.manifest.id},
           {"images", std::move(written)},
           {"files", std::move(restored)}};
  if (plan) {
    auto resumed = resume_machine(settings, *plan, memory, environment.processes, environment.stop);
    if (!resumed) {
      return base::wrap(std::move(resumed).error(),
                        "its disks and memory are in '" + base::printable(invocation.to) +
                            "', but the machine could not be continued");
    }
    // With the next write of the guest to its disks it is worth nothing, and harm if it is used.
    (void)::unlink(memory.c_str());
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
