// SPDX-License-Identifier: MIT
//
// The machine as the doctor sees it: files below a root directory, /proc and /sys among them. Reads
// only. With a root of its own a test shows the doctor any machine.
//
// Paths are absolute, as on that machine. Symbolic links in the middle of a path are followed by
// the kernel, which knows of no other root: whoever needs to know where one leads asks link().
//
// Threads: any.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::doctor {

struct FileStatus {
  mode_t mode = 0;
  // 0 below a root of its own, too, for who owns that.
  uid_t owner = 0;
};

struct Process {
  int pid = 0;
  // The program's name, as the kernel keeps it: at most 15 characters.
  std::string name;
  std::vector<std::string> arguments;
  std::uint64_t effective_capabilities = 0;
};

class World {
 public:
  // Empty: this machine.
  explicit World(std::string root = {});

  // Nothing if it is not there, may not be read, or is longer than any file asked for here.
  [[nodiscard]] std::optional<std::string> read(const std::string& path) const;
  // Of the file itself, not of what a link leads to.
  [[nodiscard]] std::optional<FileStatus> status(const std::string& path) const;
  [[nodiscard]] bool exists(const std::string& path) const { return status(path).has_value(); }
  // Where a symbolic link leads; nothing if it is none.
  [[nodiscard]] std::optional<std::string> link(const std::string& path) const;
  // The same place by a path without symbolic links or '..', as far as it is there.
  [[nodiscard]] std::string without_links(const std::string& path) const;
  // Names in a directory, sorted; none if it cannot be read.
  [[nodiscard]] std::vector<std::string> list(const std::string& directory) const;
  // The path as this process has to open it.
  [[nodiscard]] std::string real(const std::string& path) const { return root_ + path; }

  [[nodiscard]] std::vector<Process> processes() const;
  [[nodiscard]] std::optional<Process> process_named(std::string_view name) const;

 private:
  std::string root_;
  uid_t superuser_ = 0;
};

}  // namespace holdfast::doctor
