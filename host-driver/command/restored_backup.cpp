// SPDX-License-Identifier: MIT
#include "command/restored_backup.h"

#include <utility>

#include "command/backup_check.h"
#include "command/restored_file.h"
#include "command/restored_memory.h"
#include "command/unnamed_files.h"
#include "image/write_out.h"
#include "repository/paths.h"

namespace holdfast::host::command {

using base::Deadline;
using base::Result;
using repository::FileEntry;

namespace {

using Layers = std::vector<image::Layer>;

// What nothing is named without.
Result<void> verify_all(const ChosenBackup& chosen, const Restoration& wanted,
                        image::QemuImg& images, const std::stop_token& stop,
                        const Verification::Shown& show) {
  BackupCheck check(chosen.repository, images, chosen.settings.copy_timeout, stop);
  for (const RestoredDisk& target : wanted.disks) {
    auto sound = check.check_disk(chosen.backup, target.disk, [&](double percent) {
      show("verifying " + target.disk.name, percent);
    });
    if (!sound) return std::move(sound).error();
  }
  for (const FileEntry& file : wanted.files) {
    auto sound = check.check_file(chosen.backup, file);
    if (!sound) {
      return base::wrap(std::move(sound).error(), "unable to restore the " + file.what)
          .with_hint("'--disk NAME' restores disks alone");
    }
  }
  if (wanted.memory.empty()) return {};
  show("verifying memory", 0);
  auto sound = check.check_file(chosen.backup, chosen.backup.manifest.memory->file);
  if (!sound) {
    return base::wrap(std::move(sound).error(), "unable to restore the memory")
        .with_hint("without --resume the disks alone are restored");
  }
  return {};
}

Result<PartialFile> write_image(const Layers& stored, const RestoredDisk& target,
                                image::QemuImg& images, Deadline deadline,
                                const std::stop_token& stop, const image::Progress& progress) {
  const auto source = image::source_of(stored);
  if (!source) return source.error();
  auto partial = PartialFile::of(target.path);
  if (!partial) return partial;
  // qemu-img leaves all of it to the flush (-t unsafe is its default); measured, that is a quarter
  // of the time of both.
  const image::WriteOut meanwhile(partial->path());
  auto done = images.convert(*source, partial->path(), target.format, deadline, stop, progress);
  if (!done) return std::move(done).error();
  return partial;
}

Result<void> write_all(const ChosenBackup& chosen, const Restoration& wanted,
                       const std::vector<Layers>& stored, image::QemuImg& images,
                       const std::stop_token& stop, const Verification::Shown& show,
                       UnnamedFiles& written) {
  const auto deadline = [&] { return Deadline::in(chosen.settings.copy_timeout); };
  for (std::size_t i = 0; i < wanted.disks.size(); ++i) {
    const RestoredDisk& target = wanted.disks[i];
    auto image = write_image(stored[i], target, images, deadline(), stop,
                             [&](double percent) { show("writing " + target.disk.name, percent); });
    if (!image) return std::move(image).error();
    written.add(std::move(*image));
  }
  for (const FileEntry& file : wanted.files) {
    auto restored = restored_file(chosen.backup, file, wanted.directory);
    if (!restored) return std::move(restored).error();
    written.add(std::move(*restored));
  }
  if (wanted.memory.empty()) return {};
  show("writing memory", 0);
  auto memory = restored_memory(chosen.backup, wanted.memory, images.processes(), deadline(), stop);
  if (!memory) return std::move(memory).error();
  written.add(std::move(*memory));
  return {};
}

}  // namespace

Result<void> require_absent(const Restoration& wanted) {
  std::vector<std::string> paths;
  if (!wanted.memory.empty()) paths.push_back(wanted.memory);
  for (const RestoredDisk& target : wanted.disks)
    paths.push_back(target.path);
  for (const FileEntry& file : wanted.files)
    paths.push_back(wanted.directory + "/" + file.file);
  for (const std::string& path : paths)
    if (auto absent = require_absent(path); !absent) return absent;
  return {};
}

Result<void> restore_files(const ChosenBackup& chosen, const Restoration& wanted,
                           Environment& environment, const Verification::Shown& show) {
  image::QemuImg images(environment.processes, chosen.settings.qemu_img);
  std::vector<Layers> stored;
  for (const RestoredDisk& target : wanted.disks) {
    auto looked = look_at_disk(chosen.repository, chosen.backup, target.disk);
    if (!looked) return std::move(looked).error();
    stored.push_back(std::move(*looked));
  }
  auto fresh = FreshFiles::in(wanted.directory);
  if (!fresh) return std::move(fresh).error();
  UnnamedFiles files;
  Verification verification(
      [&](const std::stop_token& stop, const Verification::Shown& shown) {
        return verify_all(chosen, wanted, images, stop, shown);
      },
      environment.stop);
  auto written = write_all(chosen, wanted, stored, images, verification.unsound(), show, files);
  if (auto sound = verification.end(show); !sound) return sound;
  if (!written) return written;
  if (auto named = files.name_all(*fresh); !named) return named;
  if (auto flushed = repository::flush_directory(wanted.directory); !flushed) return flushed;
  fresh->keep();
  return {};
}

}  // namespace holdfast::host::command
