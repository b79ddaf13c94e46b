// SPDX-License-Identifier: MIT
#include "core/mounts.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "base/file.h"
#include "base/text.h"

namespace holdfast::core {

namespace {

constexpr const char* kMountinfo = "/proc/self/mountinfo";
constexpr std::size_t kMountinfoLimit = std::size_t{16} << 20U;

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const std::size_t end = std::min(line.find(' '), line.size());
    if (end > 0) words.push_back(line.substr(0, end));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return words;
}

// Blank, tab, newline and backslash stand as \040 and so on.
std::string unescaped(std::string_view text) {
  const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
        is_octal(text[i + 3])) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                 (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

bool has_option(std::string_view options, std::string_view option) {
  while (!options.empty()) {
    const std::size_t end = std::min(options.find(','), options.size());
    if (options.substr(0, end) == option) return true;
    options.remove_prefix(std::min(end + 1, options.size()));
  }
  return false;
}

// The better place to open a superblock at: whole rather than a part, then the shorter path.
bool better(const Mount& a, const Mount& b) {
  if ((a.root == "/") != (b.root == "/")) return a.root == "/";
  return a.mount_point.size() < b.mount_point.size();
}

// A file that is mounted over another, as systemd-nspawn does with the host's os-release: it is
// part of somebody else's filesystem, and no directory that could be opened.
bool is_of_one_file(const Mount& mount) {
  struct stat status {};
  return mount.root != "/" && mount.source.starts_with("/dev/") &&
         ::stat(mount.mount_point.c_str(), &status) == 0 && !S_ISDIR(status.st_mode);
}

}  // namespace

base::Result<std::vector<Mount>> parse_mountinfo(std::string_view text) {
  std::vector<Mount> mounts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto words = words_of(line);
    // Six fixed words, any number of optional ones, a dash, and three more.
    const auto dash = words.size() < 6
                          ? words.end()
                          : std::find(words.begin() + 6, words.end(), std::string_view("-"));
    if (std::distance(dash, words.end()) < 3) {
      return base::Error(base::ErrorCode::kCorrupt,
                         "unable to read the mount table: '" + base::printable(line, 100) + "'");
    }
    const std::string_view options = std::distance(dash, words.end()) > 3 ? dash[3] : "";
    mounts.push_back({std::string(words[2]), unescaped(words[3]), unescaped(words[4]),
                      std::string(dash[1]), unescaped(dash[2]), has_option(options, "rw")});
  }
  return mounts;
}

std::vector<std::string> freezable(const std::vector<Mount>& mounts) {
  std::map<std::string, const Mount*> chosen;
  for (const Mount& mount : mounts) {
    if (!mount.writable || !mount.source.starts_with("/dev/") || mount.type.starts_with("fuse") ||
        mount.type == "devtmpfs") {
      continue;
    }
    const Mount*& place = chosen[mount.device];
    if (place == nullptr || better(mount, *place)) place = &mount;
  }
  std::vector<std::string> mount_points;
  // In the order of the table: a filesystem comes after the one it is mounted on.
  for (const Mount& mount : mounts) {
    const auto found = chosen.find(mount.device);
    if (found != chosen.end() && found->second == &mount) {
      mount_points.push_back(mount.mount_point);
    }
  }
  return mount_points;
}

base::Result<std::vector<std::string>> freezable_here() {
  auto text = base::read_file(kMountinfo, kMountinfoLimit);
  if (!text) return std::move(text).error();
  auto mounts = parse_mountinfo(*text);
  if (!mounts) return std::move(mounts).error();
  std::erase_if(*mounts, is_of_one_file);
  return freezable(*mounts);
}

}  // namespace holdfast::core
