// SPDX-License-Identifier: MIT
#include "qmp/block_graph.h"

#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/text.h"

namespace holdfast::host::qmp {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

constexpr std::size_t kDeepestChain = 32;
// More than any machine has; names are made unique one against the other.
constexpr std::size_t kMostDevices = 4096;
constexpr std::string_view kPeripheral = "/machine/peripheral/";

bool is_protocol(std::string_view driver) {
  return driver == "file" || driver == "host_device";
}

// The file behind QEMU's "json:{...}" form of a name, which it uses where plain options won't say
// it all. Whatever lies between the format and the file changes what is read: refused.
Result<std::string> file_of_json(std::string_view name) {
  const auto unusable = [&] {
    return Error(ErrorCode::kUnsupported,
                 "unable to read the image '" + base::printable(name, 200) +
                     "' from outside: only files and block devices, without filters or offsets");
  };
  auto parsed = base::parse_json(name.substr(5));
  if (!parsed) return unusable();
  const Json* node = &*parsed;
  for (int depth = 0; depth < 3; ++depth) {
    const auto driver = base::string_member(*node, "driver");
    if (!driver || node->contains("offset") || node->contains("size")) return unusable();
    if (is_protocol(*driver)) {
      auto file = base::string_member(*node, "filename");
      if (!file) return unusable();
      return file;
    }
    if (*driver != "raw" && *driver != "qcow2") return unusable();
    const auto child = base::object_member(*node, "file");
    if (!child) return unusable();
    node = *child;
  }
  return unusable();
}

Result<std::string> path_of(const std::string& name, const std::string& working_directory) {
  std::string file = name;
  if (name.starts_with("json:")) {
    auto inner = file_of_json(name);
    if (!inner) return inner;
    file = std::move(*inner);
  }
  if (file.find('\0') != std::string::npos) {
    return Error(ErrorCode::kProtocol, "'" + base::printable(file) + "' is no file's name");
  }
  if (file.starts_with('/')) return file;
  // "nbd://…", "rbd:pool/…": a protocol prefix stands before the first slash.
  const std::size_t colon = file.find(':');
  if (file.empty() || (colon != std::string::npos && colon < file.find('/'))) {
    return Error(ErrorCode::kUnsupported, "unable to read the image '" + base::printable(file) +
                                              "' from outside: it is not a local file");
  }
  if (working_directory.empty()) {
    return Error(ErrorCode::kUnsupported, "unable to find the image '" + base::printable(file) +
                                              "': QEMU was given a relative path")
        .with_hint("start the machine with absolute paths");
  }
  return working_directory + "/" + file;
}

std::uint64_t size_member(const Json& image, std::string_view key) {
  const auto number = base::integer_member(image, key);
  return number && *number > 0 ? static_cast<std::uint64_t>(*number) : 0;
}

// The chain from the image that the guest sees down to its last backing file.
Result<void> read_chain(const Json& top, const std::string& working_directory, Disk& disk) {
  const Json* image = &top;
  for (std::size_t depth = 0; depth < kDeepestChain; ++depth) {
    const auto name = base::string_member(*image, "filename");
    const auto format = base::string_member(*image, "format");
    if (!name) return name.error();
    if (!format) return format.error();
    if (*format != "raw" && *format != "qcow2") {
      return Error(ErrorCode::kUnsupported,
                   "its format '" + base::printable(*format, 40) + "' is neither raw nor qcow2");
    }
    auto path = path_of(*name, working_directory);
    if (!path) return std::move(path).error();
    disk.chain.push_back({std::move(*path), *format});
    disk.actual_size += size_member(*image, "actual-size");
    const auto backing = base::object_member(*image, "backing-image");
    if (!backing) return {};
    image = *backing;
  }
  return Error(ErrorCode::kUnsupported,
               "its chain is longer than " + std::to_string(kDeepestChain) + " images");
}

std::string text_member(const Json& object, std::string_view key) {
  return base::string_member(object, key).value_or("");
}

constexpr std::string_view kMachine = "/machine/";
constexpr std::string_view kFlash = ".flash";

// Something an administrator recognises and that stays the same from run to run.
std::string wanted_name(const Disk& disk) {
  if (base::is_plain_name(disk.device)) return disk.device;
  // As -drive if=pflash would call it.
  if (disk.pflash) return "pflash" + std::to_string(*disk.pflash);
  if (disk.qdev.starts_with(kPeripheral)) {
    const std::string rest = disk.qdev.substr(kPeripheral.size());
    std::string id = rest.substr(0, rest.find('/'));
    if (base::is_plain_name(id)) return id;
  }
  if (base::is_plain_name(disk.qdev)) return disk.qdev;
  if (base::is_plain_name(disk.node)) return disk.node;
  return "disk";
}

std::string unique_name(const Disk& disk, std::set<std::string>& taken) {
  const std::string wanted = wanted_name(disk).substr(0, 56);
  std::string name = wanted;
  for (int number = 1; !taken.insert(name).second; ++number) {
    name = wanted + "-" + std::to_string(number);
  }
  return name;
}

// Why this device is no disk to back up; empty if it is one.
std::string reason_to_skip(const Json& entry) {
  if (base::bool_member(entry, "removable").value_or(false)) return "removable";
  const auto inserted = base::object_member(entry, "inserted");
  if (!inserted) return "empty";
  if (base::bool_member(**inserted, "ro").value_or(false)) return "read-only";
  return {};
}

std::vector<Bitmap> read_bitmaps(const Json& inserted) {
  std::vector<Bitmap> bitmaps;
  const auto entries = base::array_member(inserted, "dirty-bitmaps");
  if (!entries) return bitmaps;
  for (const Json& entry : **entries) {
    // Other programs' may have no name.
    auto name = base::string_member(entry, "name");
    if (!name) continue;
    bitmaps.push_back({std::move(*name), size_member(entry, "count"),
                       base::bool_member(entry, "recording").value_or(false),
                       base::bool_member(entry, "busy").value_or(false),
                       base::bool_member(entry, "inconsistent").value_or(false)});
  }
  return bitmaps;
}

Result<Disk> read_disk(const Json& entry, const std::string& working_directory) {
  const Json& inserted = entry.at("inserted");
  Disk disk;
  disk.device = text_member(entry, "device");
  disk.qdev = text_member(entry, "qdev");
  disk.pflash = pflash_unit(disk.qdev);
  disk.node = text_member(inserted, "node-name");
  if (disk.node.empty()) return Error(ErrorCode::kProtocol, "a disk without a node name");
  const auto image = base::object_member(inserted, "image");
  if (!image) return image.error();
  disk.virtual_size = size_member(**image, "virtual-size");
  if (const auto cache = base::object_member(inserted, "cache"); cache) {
    disk.cache_direct = base::bool_member(**cache, "direct").value_or(false);
    disk.cache_no_flush = base::bool_member(**cache, "no-flush").value_or(false);
  }
  disk.bitmaps = read_bitmaps(inserted);
  if (auto read = read_chain(**image, working_directory, disk); !read) {
    const ErrorCode code = read.error().code();
    return Error(code, "unable to back up the disk '" + base::printable(wanted_name(disk)) + "'")
        .caused_by(std::move(read).error());
  }
  return disk;
}

std::string working_directory_of(pid_t process) {
  if (process <= 0) return {};
  std::array<char, PATH_MAX> target{};
  const std::string link = "/proc/" + std::to_string(process) + "/cwd";
  const ssize_t length = ::readlink(link.c_str(), target.data(), target.size());
  if (length <= 0 || static_cast<std::size_t>(length) == target.size()) return {};
  return {target.data(), static_cast<std::size_t>(length)};
}

}  // namespace

// "system.flash1" of PCs (hw/i386/pc_sysfw.c), "virt.flash1" of ARM and RISC-V.
std::optional<int> pflash_unit(std::string_view qdev) {
  if (!qdev.starts_with(kMachine)) return std::nullopt;
  const std::string_view name = qdev.substr(kMachine.size());
  const std::size_t dot = name.rfind(kFlash);
  if (dot == std::string_view::npos || name.find('/') != std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view unit = name.substr(dot + kFlash.size());
  if (unit.size() != 1 || unit[0] < '0' || unit[0] > '9') return std::nullopt;
  return unit[0] - '0';
}

Result<BlockGraph> parse_block_graph(const Json& answer, const std::string& working_directory) {
  if (!answer.is_array()) return Error(ErrorCode::kProtocol, "query-block: not a list");
  if (answer.size() > kMostDevices) {
    return Error(ErrorCode::kTooLarge,
                 "query-block: more than " + std::to_string(kMostDevices) + " devices");
  }
  BlockGraph graph;
  std::set<std::string> taken;
  for (const Json& entry : answer) {
    if (!entry.is_object()) return Error(ErrorCode::kProtocol, "query-block: not a device");
    if (const std::string reason = reason_to_skip(entry); !reason.empty()) {
      const std::string device = text_member(entry, "device");
      const std::string name = device.empty() ? text_member(entry, "qdev") : device;
      graph.skipped.push_back({base::printable(name, 100), reason});
      continue;
    }
    auto disk = read_disk(entry, working_directory);
    if (!disk) return std::move(disk).error();
    disk->name = unique_name(*disk, taken);
    graph.disks.push_back(std::move(*disk));
  }
  return graph;
}

Result<BlockGraph> read_block_graph(Client& client, Deadline deadline) {
  auto answer = client.execute("query-block", Json::object(), deadline);
  if (!answer) return std::move(answer).error();
  return parse_block_graph(*answer, working_directory_of(client.peer()));
}

Result<std::vector<Node>> read_nodes(Client& client, Deadline deadline) {
  auto answer = client.execute("query-named-block-nodes", {{"flat", true}}, deadline);
  if (!answer) return std::move(answer).error();
  if (!answer->is_array())
    return Error(ErrorCode::kProtocol, "query-named-block-nodes: not a list");
  std::vector<Node> nodes;
  for (const Json& entry : *answer) {
    auto name = base::string_member(entry, "node-name");
    if (!name) return std::move(name).error();
    nodes.push_back({std::move(*name), text_member(entry, "drv"), text_member(entry, "file")});
  }
  return nodes;
}

std::string path_of_node(const Node& node, const Client& client) {
  return path_of(node.file, working_directory_of(client.peer())).value_or("");
}

}  // namespace holdfast::host::qmp
