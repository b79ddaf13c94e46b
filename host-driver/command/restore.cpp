// SPDX-License-Identifier: MIT
#include <iostream>

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
    return disk.pflash ? std::string("raw") : invocation.format;
  };
  const auto target_of = [&](const DiskEntry& disk) {
    return invocation.to + "/" + disk.name + "." + (disk.pflash ? "fd" : invocation.format);
  };
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
  if (auto flushed = repository::flush_directory(invocation.to); !flushed) {
    return std::move(flushed).error();
  }
  fresh->keep();
  bar.clear();
  Json all{{"vm", vm},
           {"id", backup.manifest.id},
           {"images", std::move(written)},
           {"files", std::move(restored)}};
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
