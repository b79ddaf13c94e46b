// SPDX-License-Identifier: MIT
#include "doctor/world.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <utility>

#include "base/file.h"
#include "base/text.h"

namespace holdfast::doctor {

namespace {

constexpr std::size_t kFileLimit = std::size_t{4} << 20U;

// The value of "CapEff:\t000001ffffffffff" in /proc/PID/status.
std::uint64_t capabilities_in(std::string_view status) {
  constexpr std::string_view kKey = "\nCapEff:";
  const std::size_t at = status.find(kKey);
  if (at == std::string_view::npos) return 0;
  std::string_view rest = status.substr(at + kKey.size());
  rest = base::trimmed(rest.substr(0, rest.find('\n')));
  std::uint64_t value = 0;
  (void)std::from_chars(rest.data(), rest.data() + rest.size(), value, 16);
  return value;
}

std::vector<std::string> arguments_in(std::string_view text) {
  std::vector<std::string> arguments;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\0'), text.size());
    arguments.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return arguments;
}

}  // namespace

World::World(std::string root) : root_(std::move(root)) {
  struct stat status {};
  if (!root_.empty() && ::stat(root_.c_str(), &status) == 0) superuser_ = status.st_uid;
}

std::optional<std::string> World::read(const std::string& path) const {
  auto text = base::read_file(real(path), kFileLimit);
  if (!text) return std::nullopt;
  return std::move(*text);
}

std::optional<FileStatus> World::status(const std::string& path) const {
  struct stat status {};
  if (::lstat(real(path).c_str(), &status) != 0) return std::nullopt;
  return FileStatus{status.st_mode, status.st_uid == superuser_ ? 0 : status.st_uid};
}

std::optional<std::string> World::link(const std::string& path) const {
  std::error_code problem;
  auto target = std::filesystem::read_symlink(real(path), problem);
  if (problem) return std::nullopt;
  return target.string();
}

std::string World::without_links(const std::string& path) const {
  std::filesystem::path rest = std::filesystem::path(path).lexically_normal();
  // As many as the kernel follows (path_resolution(7)).
  for (int links = 0; links < 40; ++links) {
    std::filesystem::path done;
    bool followed = false;
    for (auto part = rest.begin(); part != rest.end(); ++part) {
      const auto target = link((done / *part).string());
      if (!target) {
        done /= *part;
        continue;
      }
      // An absolute target takes the place of all before it.
      done /= *target;
      while (++part != rest.end())
        done /= *part;
      followed = true;
      break;
    }
    rest = done.lexically_normal();
    if (!followed) break;
  }
  std::string found = rest.string();
  while (found.size() > 1 && found.back() == '/')
    found.pop_back();
  return found;
}

std::vector<std::string> World::list(const std::string& directory) const {
  std::vector<std::string> names;
  std::error_code problem;
  for (const auto& entry : std::filesystem::directory_iterator(real(directory), problem))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<Process> World::processes() const {
  std::vector<Process> found;
  for (const std::string& name : list("/proc")) {
    Process process;
    const auto [end, problem] =
        std::from_chars(name.data(), name.data() + name.size(), process.pid);
    if (problem != std::errc{} || end != name.data() + name.size()) continue;
    const std::string directory = "/proc/" + name;
    const auto program = read(directory + "/comm");
    if (!program) continue;  // it has ended
    process.name = base::trimmed(*program);
    process.arguments = arguments_in(read(directory + "/cmdline").value_or(""));
    process.effective_capabilities = capabilities_in(read(directory + "/status").value_or(""));
    found.push_back(std::move(process));
  }
  std::sort(found.begin(), found.end(),
            [](const Process& a, const Process& b) { return a.pid < b.pid; });
  return found;
}

std::optional<Process> World::process_named(std::string_view name) const {
  for (Process& process : processes()) {
    if (process.name == name) return std::move(process);
  }
  return std::nullopt;
}

}  // namespace holdfast::doctor
