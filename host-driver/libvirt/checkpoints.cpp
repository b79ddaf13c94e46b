// SPDX-License-Identifier: MIT
#include "libvirt/checkpoints.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "base/unique_fd.h"
#include "snapshot/in_parent.h"

namespace holdfast::host::libvirt {

using base::Deadline;
using base::Json;
using base::Result;
using snapshot::DiskPlan;

namespace {

std::string prefix_of(std::string_view tag) {
  return "holdfast-" + std::string(tag) + "-";
}

Result<Checkpoint> parse_checkpoint(const Json& entry) {
  auto name = base::string_member(entry, "name");
  const auto disks = base::array_member(entry, "disks");
  if (!name) return std::move(name).error();
  if (!disks) return disks.error();
  Checkpoint checkpoint{
      std::move(*name), base::string_member(entry, "description").value_or(""), {}};
  for (const Json& disk : **disks) {
    auto target = base::string_member(disk, "disk");
    if (!target) return std::move(target).error();
    const auto changed = base::integer_member(disk, "changed");
    auto& known = checkpoint.changed[std::move(*target)];
    if (changed && *changed >= 0) known = static_cast<std::uint64_t>(*changed);
  }
  return checkpoint;
}

// The version in a qcow2 header, a big-endian number behind the magic (QEMU:
// docs/interop/qcow2.txt); 0 if it cannot be read.
unsigned qcow2_version(const std::string& path) {
  const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::array<unsigned char, 8> head{};
  if (!fd.valid() || ::pread(fd.get(), head.data(), head.size(), 0) != ssize_t{head.size()}) {
    return 0;
  }
  return head[7];
}

// A path can be given to another file, a number of an inode as good as not.
Json file_of(const qmp::Disk& disk) {
  const std::string& path = disk.chain.front().path;
  struct stat status {};
  const bool there = ::stat(path.c_str(), &status) == 0;
  return {{"path", path}, {"inode", there ? static_cast<std::uint64_t>(status.st_ino) : 0}};
}

bool is_the_same_file(const Checkpoint& checkpoint, const qmp::Disk& disk) {
  const auto files = base::parse_json(checkpoint.description);
  const auto then =
      files ? base::object_member(*files, disk.name) : Result<const Json*>(files.error());
  return then && **then == file_of(disk);
}

}  // namespace

std::string checkpoint_name(std::string_view tag, std::string_view backup_id) {
  return prefix_of(tag) + std::string(backup_id);
}

Result<std::vector<Checkpoint>> read_checkpoints(qmp::Client& bridge, Deadline deadline) {
  const auto answer = bridge.execute("query-checkpoints", Json::object(), deadline);
  if (!answer) return answer.error();
  const auto list = base::array_member(*answer, "checkpoints");
  if (!list) return list.error();
  std::vector<Checkpoint> found;
  for (const Json& entry : **list) {
    auto checkpoint = parse_checkpoint(entry);
    if (!checkpoint) return std::move(checkpoint).error();
    found.push_back(std::move(*checkpoint));
  }
  return found;
}

std::string no_bitmap_because(const qmp::Disk& disk) {
  const qmp::ImageLayer& image = disk.chain.front();
  if (image.format != "qcow2") {
    return "its image is " + image.format +
           ", and libvirt keeps track of changes in qcow2 images alone";
  }
  if (qcow2_version(image.path) == 2) {
    return "its image is of the old kind of qcow2 (compat 0.10), which cannot keep track of "
           "changes";
  }
  return {};
}

std::string describe_files(const std::vector<qmp::Disk>& disks) {
  Json files = Json::object();
  for (const qmp::Disk& disk : disks)
    files[disk.name] = file_of(disk);
  return base::to_line(files);
}

DiskPlan plan_disk(const qmp::Disk& disk, const snapshot::Parent& parent,
                   const Checkpoint* checkpoint) {
  const auto full = [](std::string reason) { return DiskPlan{std::move(reason), 0, {}}; };
  const auto below = snapshot::find_in_parent(disk, parent);
  if (!below) return full(below.error().message());
  if (std::string problem = no_bitmap_because(disk); !problem.empty()) {
    return full(std::move(problem));
  }
  if (checkpoint == nullptr) return full("libvirt has no checkpoint of '" + parent.id + "'");
  const auto since = checkpoint->changed.find(disk.name);
  if (since == checkpoint->changed.end()) {
    return full("the checkpoint of '" + parent.id + "' leaves it out");
  }
  if (!is_the_same_file(*checkpoint, disk)) {
    return full("its image is another file than it was for '" + parent.id + "'");
  }
  if (!since->second) {
    return full(
        "its dirty bitmap is gone or inconsistent: QEMU did not end as it should, or the image was "
        "replaced");
  }
  return {{}, std::min(*since->second, disk.virtual_size), (*below)->reference};
}

Result<void> keep_checkpoints(qmp::Client& bridge, std::string_view tag, std::string_view latest,
                              Deadline deadline) {
  const auto checkpoints = read_checkpoints(bridge, deadline);
  if (!checkpoints) return checkpoints.error();
  const std::string kept = latest.empty() ? std::string() : checkpoint_name(tag, latest);
  for (const Checkpoint& checkpoint : *checkpoints) {
    if (!checkpoint.name.starts_with(prefix_of(tag)) || checkpoint.name == kept) continue;
    auto removed = bridge.execute("remove-checkpoint", {{"name", checkpoint.name}}, deadline);
    if (!removed) {
      return base::wrap(
          std::move(removed).error(),
          "unable to remove the checkpoint '" + base::printable(checkpoint.name, 100) + "'");
    }
  }
  return {};
}

}  // namespace holdfast::host::libvirt
