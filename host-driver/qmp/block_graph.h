// SPDX-License-Identifier: MIT
//
// Which disks a running machine has, as QEMU says it at this moment. Node names of machines
// started with -drive ("#block293") change whenever an image is opened: ask every time, keep none.
//
// Errors: kUnsupported for a writable disk that can't be read from outside (a filter or a network
// image): leaving it out silently would make a backup that restores to less than the machine.
// Threads: plain values and functions.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "qmp/client.h"

namespace holdfast::host::qmp {

// One image of a chain: a file or block device, and how it is to be read. Never probed.
struct ImageLayer {
  std::string path;
  std::string format;  // "raw" or "qcow2"
};

// A dirty bitmap on the root node of a disk.
struct Bitmap {
  std::string name;
  std::uint64_t count = 0;  // bytes that it has marked
  bool recording = false;
  bool busy = false;
  // Its image was not closed as it should be: good for nothing but removal.
  bool inconsistent = false;
};

struct Disk {
  std::string name;               // a plain name, unique in this machine; becomes a file name
  std::string device;             // the backend's name with -drive, else empty
  std::string qdev;               // path of the device, may be empty
  std::optional<int> pflash;      // it is flash, and which
  std::string node;               // the root node of now
  std::vector<ImageLayer> chain;  // what the guest sees first, its backing files after it
  std::uint64_t virtual_size = 0;
  std::uint64_t actual_size = 0;  // of the whole chain
  bool cache_direct = false;
  bool cache_no_flush = false;
  // Through libvirt alone, which does not show QEMU's devices: "ide", "virtio"; and whether it is a
  // virtio device with an ioeventfd.
  std::string bus;
  bool ioeventfd = false;
  std::vector<Bitmap> bitmaps;
};

struct SkippedDevice {
  std::string name;
  std::string reason;
};

// The unit of a flash device at this path ("/machine/system.flash1"), which is where a machine
// keeps its firmware and the firmware its variables; nothing for any other device.
[[nodiscard]] std::optional<int> pflash_unit(std::string_view qdev);

struct BlockGraph {
  std::vector<Disk> disks;
  std::vector<SkippedDevice> skipped;
};

// The answer of query-block. `working_directory` completes relative file names: it is QEMU's own.
[[nodiscard]] base::Result<BlockGraph> parse_block_graph(const base::Json& answer,
                                                         const std::string& working_directory);
[[nodiscard]] base::Result<BlockGraph> read_block_graph(Client& client, base::Deadline deadline);

// A node that is there, whoever uses it.
struct Node {
  std::string name;
  std::string driver;
  std::string file;
};
[[nodiscard]] base::Result<std::vector<Node>> read_nodes(Client& client, base::Deadline deadline);
// The path in a node's `file`, which may be QEMU's "json:" form, or relative; empty: none.
[[nodiscard]] std::string path_of_node(const Node& node, const Client& client);

}  // namespace holdfast::host::qmp
