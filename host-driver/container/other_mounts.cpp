// SPDX-License-Identifier: MIT
#include "container/other_mounts.h"

#include <algorithm>
#include <array>
#include <sstream>

#include "base/file.h"
#include "base/text.h"

namespace holdfast::host::container {

using base::Result;

namespace {

constexpr std::size_t kLimit = std::size_t{4} << 20U;
// A hostile container can mount as often as it likes.
constexpr std::size_t kMost = 100;

constexpr std::array<std::string_view, 17> kNothingKept{
    "proc",    "sysfs",   "tmpfs",     "devtmpfs",   "devpts", "mqueue", "cgroup", "cgroup2", "bpf",
    "debugfs", "tracefs", "hugetlbfs", "securityfs", "ramfs",  "autofs", "pstore", "fusectl"};

// What systemd-nspawn itself mounts, https://systemd.io/CONTAINER_INTERFACE.
constexpr std::string_view kOfTheManager = "/run/host/os-release";

struct Line {
  std::string path;
  std::string kind;
};

// "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw", proc_pid_mountinfo(5). What is
// escaped in a path stays so: it is shown, and compared with nothing else.
std::vector<Line> lines_of(std::string_view text) {
  std::vector<Line> lines;
  std::istringstream stream{std::string(text)};
  for (std::string line; std::getline(stream, line);) {
    std::istringstream words(line);
    std::string skipped;
    Line found;
    words >> skipped >> skipped >> skipped >> skipped >> found.path;
    const std::size_t dash = line.find(" - ");
    if (found.path.empty() || dash == std::string::npos) continue;
    std::istringstream(line.substr(dash + 3)) >> found.kind;
    lines.push_back(std::move(found));
  }
  return lines;
}

Result<std::string> mountinfo_of(pid_t leader) {
  return base::read_file("/proc/" + std::to_string(leader) + "/mountinfo", kLimit);
}

}  // namespace

std::vector<OtherMount> parse_other_mounts(std::string_view mountinfo) {
  std::vector<OtherMount> mounts;
  for (const Line& line : lines_of(mountinfo)) {
    if (line.path == "/" || line.path == kOfTheManager) continue;
    const bool kept =
        std::find(kNothingKept.begin(), kNothingKept.end(), line.kind) == kNothingKept.end();
    OtherMount mount{base::printable(line.path, 200), base::printable(line.kind, 40)};
    // One over the other is one place.
    const bool known = std::find(mounts.begin(), mounts.end(), mount) != mounts.end();
    if (kept && !known && mounts.size() < kMost) mounts.push_back(std::move(mount));
  }
  return mounts;
}

Result<std::vector<OtherMount>> other_mounts(pid_t leader) {
  const auto text = mountinfo_of(leader);
  if (!text) return text.error();
  return parse_other_mounts(*text);
}

std::vector<std::string> parse_mount_points(std::string_view mountinfo) {
  std::vector<std::string> paths;
  for (Line& line : lines_of(mountinfo))
    paths.push_back(std::move(line.path));
  return paths;
}

Result<std::vector<std::string>> mount_points(pid_t leader) {
  const auto text = mountinfo_of(leader);
  if (!text) return text.error();
  return parse_mount_points(*text);
}

// "ID 258 gen 12 top level 257 path web/var/lib/portables"
std::vector<std::string> parse_subvolumes(std::string_view listing, const std::string& inside) {
  std::vector<std::string> paths;
  std::istringstream stream{std::string(listing)};
  for (std::string line; std::getline(stream, line) && paths.size() < kMost;) {
    const std::size_t begin = line.find(" path ");
    if (begin == std::string::npos) continue;
    const std::string path = line.substr(begin + 6);
    if (inside.empty() || ("/" + path).find("/" + inside + "/") != std::string::npos) {
      paths.push_back(base::printable(path, 200));
    }
  }
  return paths;
}

}  // namespace holdfast::host::container
