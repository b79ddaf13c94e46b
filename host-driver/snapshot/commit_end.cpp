// SPDX-License-Identifier: MIT
#include "snapshot/commit_end.h"

#include <charconv>
#include <string>

#include "base/text.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

constexpr int kSafeMajor = 8;
constexpr int kSafeMinor = 2;
constexpr std::string_view kBackend = "/virtio-backend";

class Devices {
 public:
  Devices(qmp::Client& monitor, Deadline deadline) : monitor_(monitor), deadline_(deadline) {}

  [[nodiscard]] Json property(const std::string& path, const char* name) {
    auto answer = monitor_.execute("qom-get", {{"path", path}, {"property", name}}, deadline_);
    // One that it has not is no less an answer.
    return answer ? std::move(*answer) : Json();
  }

  [[nodiscard]] std::string text(const std::string& path, const char* name) {
    Json value = property(path, name);
    return value.is_string() ? value.get<std::string>() : std::string();
  }

  // Is `path` the inner half of a virtio device whose outer one has an ioeventfd?
  [[nodiscard]] bool has_ioeventfd(std::string_view path) {
    if (!path.ends_with(kBackend)) return false;
    path.remove_suffix(kBackend.size());
    const Json value = property(std::string(path), "ioeventfd");
    return value.is_boolean() && value.get<bool>();
  }

 private:
  qmp::Client& monitor_;
  Deadline deadline_;
};

// The disk of a controller has a bus, "/machine/peripheral/scsi0/virtio-backend/scsi0.0".
std::string controller_of(const std::string& bus) {
  const std::size_t slash = bus.rfind('/');
  return slash == std::string::npos ? std::string() : bus.substr(0, slash);
}

// `device` is what the administrator knows it by.
Error commit_end_danger(const qmp::Disk& disk, std::string_view device, std::string_view version) {
  return Error(ErrorCode::kUnsupported,
               "unable to put an overlay on disk '" + disk.name + "': QEMU " +
                   base::printable(version, 40) +
                   " may die when an overlay is committed into a raw image while the guest "
                   "writes through '" +
                   base::printable(device, 100) + "'")
      .with_hint("'method = backup' does without; so do virtio disks, qcow2 images and QEMU " +
                 std::to_string(kSafeMajor) + "." + std::to_string(kSafeMinor));
}

}  // namespace

bool dies_at_commit_end(std::string_view version) {
  const char* const end = version.data() + version.size();
  int major = 0;
  int minor = 0;
  const auto first = std::from_chars(version.data(), end, major);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '.') return false;
  const auto second = std::from_chars(first.ptr + 1, end, minor);
  if (second.ec != std::errc()) return false;
  return major < kSafeMajor || (major == kSafeMajor && minor < kSafeMinor);
}

Result<void> check_commit_end(qmp::Client& monitor, const std::vector<qmp::Disk>& disks,
                              Deadline deadline) {
  if (!dies_at_commit_end(monitor.version())) return {};
  Devices devices(monitor, deadline);
  for (const qmp::Disk& disk : disks) {
    // Without a device nobody writes.
    if (disk.chain.front().format != "raw" || disk.qdev.empty() || disk.pflash) continue;
    if (devices.has_ioeventfd(disk.qdev)) continue;
    if (devices.has_ioeventfd(controller_of(devices.text(disk.qdev, "parent_bus")))) continue;
    const std::string type = devices.text(disk.qdev, "type");
    return commit_end_danger(disk, type.empty() ? disk.qdev : type, monitor.version());
  }
  return {};
}

Result<void> check_commit_end(std::string_view version, const std::vector<qmp::Disk>& disks) {
  if (!dies_at_commit_end(version)) return {};
  for (const qmp::Disk& disk : disks) {
    if (disk.chain.front().format != "raw" || disk.ioeventfd) continue;
    return commit_end_danger(disk, disk.bus, version);
  }
  return {};
}

}  // namespace holdfast::host::snapshot
