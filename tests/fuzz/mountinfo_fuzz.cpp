// SPDX-License-Identifier: MIT
//
// /proc/self/mountinfo (core/mounts.h): the names in it are whatever somebody could mount.
#include "core/mounts.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <set>

#include "fuzz.h"

namespace holdfast::fuzz {

namespace {

// As the kernel writes a name (fs/proc_namespace.c, mangle).
std::string mangled(std::string_view name) {
  std::string text;
  for (const char c : name) {
    if (c != ' ' && c != '\t' && c != '\n' && c != '\\' && c != '#') {
      text += c;
      continue;
    }
    std::array<char, 8> octal{};
    (void)std::snprintf(octal.data(), octal.size(), "\\%03o", static_cast<unsigned char>(c));
    text += octal.data();
  }
  return text;
}

void check_written(std::string_view input) {
  Bytes bytes(input);
  // The kernel has a name everywhere, if need be "none".
  const auto name = [&] {
    std::string text = bytes.text();
    text.erase(std::remove(text.begin(), text.end(), '\0'), text.end());
    return "/" + text;
  };
  const std::string root = name();
  const std::string mount_point = name();
  const std::string source = name();
  const bool writable = bytes.byte() % 2 != 0;
  const std::string line = "36 35 98:0 " + mangled(root) + " " + mangled(mount_point) +
                           " rw,noatime master:1 - ext3 " + mangled(source) + " " +
                           (writable ? "rw" : "ro") + ",errors=continue\n";
  const auto mounts = core::parse_mountinfo(line);
  require(mounts && mounts->size() == 1, "a line of the kernel's is read");
  const core::Mount& mount = mounts->front();
  require(mount.root == root && mount.mount_point == mount_point && mount.source == source &&
              mount.device == "98:0" && mount.type == "ext3" && mount.writable == writable,
          "its names are read as they were written");
}

}  // namespace

void check(std::string_view input) {
  check_written(input);
  const auto mounts = core::parse_mountinfo(input);
  if (!mounts) {
    require(is_one_safe_line(mounts.error().one_line()), "the error is one safe line");
    return;
  }
  const auto chosen = core::freezable(*mounts);
  std::set<std::string> devices;
  for (const core::Mount& mount : *mounts) {
    if (mount.writable && mount.source.starts_with("/dev/") && !mount.type.starts_with("fuse") &&
        mount.type != "devtmpfs") {
      devices.insert(mount.device);
    }
  }
  require(chosen.size() == devices.size(), "every superblock is chosen once");
  for (const std::string& path : chosen) {
    require(std::any_of(mounts->begin(), mounts->end(),
                        [&](const core::Mount& mount) { return mount.mount_point == path; }),
            "what is chosen is mounted");
  }
}

}  // namespace holdfast::fuzz
