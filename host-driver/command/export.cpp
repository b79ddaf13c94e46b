// SPDX-License-Identifier: MIT
#include <iostream>

#include "base/text.h"
#include "command/backup_check.h"
#include "command/chosen_backup.h"
#include "command/commands.h"
#include "command/nbd_server.h"

namespace holdfast::host::command {

using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;
using repository::Backup;
using repository::DiskEntry;

namespace {

Json as_json(const Backup& backup, const std::vector<DiskEntry>& disks, const std::string& path) {
  Json exports = Json::array();
  for (const DiskEntry& disk : disks) {
    exports.push_back(
        {{"disk", disk.name}, {"uri", uri_of(path, disk.name)}, {"size", disk.virtual_size}});
  }
  return {{"vm", backup.manifest.vm},
          {"id", backup.manifest.id},
          {"socket", path},
          {"exports", std::move(exports)}};
}

void print_how(const Backup& backup, const std::vector<DiskEntry>& disks, const std::string& path) {
  std::string text = backup.manifest.vm + ": " + backup.manifest.id +
                     ": served read-only until Ctrl-C or SIGTERM\n";
  for (const DiskEntry& disk : disks) {
    text += "  " + disk.name + " (" + base::format_bytes(disk.virtual_size) + "): '" +
            uri_of(path, disk.name) + "'\n";
  }
  const std::string& first = disks.front().name;
  const std::string uri = "'" + uri_of(path, first) + "'";
  text += "what there is:   nbdinfo --list '" + uri_of(path, "") + "'\n";
  text += "a whole disk:    nbdcopy -p " + uri + " " + first + ".raw\n";
  text += "                 qemu-img convert -p -f raw -O qcow2 " + uri + " " + first + ".qcow2\n";
  text += "single files:    guestfish --ro --format=raw -a " + uri + " -i\n";
  std::cout << text << std::flush;
}

}  // namespace

Result<int> export_backup(const Invocation& invocation, Environment& environment) {
  const auto chosen = choose_backup(invocation);
  if (!chosen) return chosen.error();
  const Backup& backup = chosen->backup;
  const std::vector<DiskEntry>& disks = chosen->disks;
  if (backup.manifest.archive) {
    return Error(ErrorCode::kUnsupported, "backup '" + backup.manifest.id +
                                              "' is the archive of a container, and has no disks")
        .with_hint("holdfast restore " + backup.manifest.vm + " " + backup.manifest.id +
                   " --to DIR");
  }
  if (disks.empty()) {
    return Error(ErrorCode::kNotFound, "backup '" + backup.manifest.id + "' has no disks");
  }
  std::vector<Exported> images;
  for (const DiskEntry& disk : disks) {
    auto chain = look_at_disk(chosen->repository, backup, disk);
    if (!chain) return std::move(chain).error();
    images.push_back({disk.name, std::move(*chain)});
  }
  auto socket = PrivateSocket::listen();
  if (!socket) return std::move(socket).error();
  const auto ready = [&] {
    if (invocation.json) {
      std::cout << base::to_document(as_json(backup, disks, socket->path())) << std::flush;
    } else {
      print_how(backup, disks, socket->path());
    }
  };
  auto served = serve(environment.processes, chosen->settings.qemu_storage_daemon, images, *socket,
                      environment.stop, ready);
  if (!served) return std::move(served).error();
  return 0;
}

}  // namespace holdfast::host::command
