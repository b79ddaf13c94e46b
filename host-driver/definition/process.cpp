// SPDX-License-Identifier: MIT
#include "definition/process.h"

#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <map>
#include <sstream>

#include "base/file.h"
#include "base/text.h"

namespace holdfast::host::definition {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

constexpr std::size_t kCommandLineLimit = std::size_t{1} << 20U;
// A line per socket of the host.
constexpr std::size_t kSocketsLimit = std::size_t{64} << 20U;

std::string in_proc(pid_t process, const char* name) {
  return "/proc/" + std::to_string(process) + "/" + name;
}

std::string link_target(const std::string& link) {
  std::array<char, PATH_MAX> target{};
  const ssize_t length = ::readlink(link.c_str(), target.data(), target.size());
  if (length <= 0 || static_cast<std::size_t>(length) == target.size()) return {};
  return {target.data(), static_cast<std::size_t>(length)};
}

// "socket:[17413160]" -> the path that it is bound to, for sockets that may be at `path`.
std::map<std::string, std::string> sockets_at(const std::string& path, pid_t near) {
  std::map<std::string, std::string> sockets;
  const auto table =
      base::read_file(in_proc(near > 0 ? near : ::getpid(), "net/unix"), kSocketsLimit);
  if (!table) return sockets;
  const std::string name = path.substr(path.rfind('/'));
  std::istringstream lines(*table);
  for (std::string line; std::getline(lines, line);) {
    // Num RefCount Protocol Flags Type St Inode Path (proc(5)); a path may have blanks.
    std::istringstream words(line);
    std::string word;
    std::string inode;
    for (int column = 0; column < 7 && words >> word; ++column)
      inode = word;
    std::string bound;
    if (!std::getline(words >> std::ws, bound)) continue;
    const bool maybe = bound == path || (!bound.starts_with('/') && ("/" + bound).ends_with(name));
    if (maybe) sockets.emplace("socket:[" + inode + "]", bound);
  }
  return sockets;
}

std::vector<pid_t> processes() {
  std::vector<pid_t> found;
  std::error_code problem;
  auto entry = std::filesystem::directory_iterator("/proc", problem);
  for (; !problem && entry != std::filesystem::directory_iterator(); entry.increment(problem)) {
    const std::string name = entry->path().filename().string();
    pid_t process = 0;
    const auto read = std::from_chars(name.data(), name.data() + name.size(), process);
    if (read.ec == std::errc() && read.ptr == name.data() + name.size()) found.push_back(process);
  }
  return found;
}

bool is_qemu(pid_t process) {
  const auto words = command_line_of(process);
  if (!words) return false;
  const std::string_view name = program_name(*words);
  return name.find("qemu") != std::string_view::npos || name == "kvm";
}

}  // namespace

Result<Words> command_line_of(pid_t process) {
  const std::string path = in_proc(process, "cmdline");
  const auto text = base::read_file(path, kCommandLineLimit);
  if (!text) return text.error();
  Words words;
  std::string word;
  for (const char c : *text) {
    if (c != '\0') {
      word += c;
      continue;
    }
    words.push_back(std::move(word));
    word.clear();
  }
  if (!word.empty()) words.push_back(std::move(word));
  if (words.empty()) {
    return Error(ErrorCode::kNotFound, "unable to read '" + path + "': it is empty");
  }
  return words;
}

std::string working_directory_of(pid_t process) {
  return process > 0 ? link_target(in_proc(process, "cwd")) : std::string();
}

std::string_view program_name(const Words& words) {
  const std::string_view first = words.front();
  return first.substr(first.rfind('/') + 1);
}

std::string absolute_path(const std::string& path, pid_t process) {
  if (path.empty()) return {};
  std::filesystem::path whole(path);
  if (whole.is_relative()) {
    const std::string directory = working_directory_of(process);
    if (directory.empty()) return {};
    whole = std::filesystem::path(directory) / whole;
  }
  return whole.lexically_normal().string();
}

std::vector<pid_t> socket_holders(const std::string& path, pid_t near) {
  std::vector<pid_t> holders;
  if (!path.starts_with('/')) return holders;
  const auto sockets = sockets_at(path, near);
  if (sockets.empty()) return holders;
  for (const pid_t process : processes()) {
    std::error_code problem;
    auto entry = std::filesystem::directory_iterator(in_proc(process, "fd"), problem);
    for (; !problem && entry != std::filesystem::directory_iterator(); entry.increment(problem)) {
      const auto socket = sockets.find(link_target(entry->path().string()));
      if (socket == sockets.end()) continue;
      if (socket->second != path && absolute_path(socket->second, process) != path) continue;
      holders.push_back(process);
      break;
    }
  }
  std::sort(holders.begin(), holders.end());
  return holders;
}

Result<pid_t> find_qemu(pid_t peer, const std::string& monitor_path) {
  if (peer > 0 && is_qemu(peer)) return peer;
  for (const pid_t holder : socket_holders(absolute_path(monitor_path, ::getpid()), peer)) {
    if (is_qemu(holder)) return holder;
  }
  if (peer <= 0) {
    return Error(ErrorCode::kNotFound, "QEMU's process is not to be seen from here");
  }
  const auto words = command_line_of(peer);
  if (!words) return words.error();
  return Error(ErrorCode::kNotFound, "'" + base::printable(program_name(*words), 80) +
                                         "' listens at the monitor's socket, and no QEMU");
}

}  // namespace holdfast::host::definition
