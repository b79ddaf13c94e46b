// SPDX-License-Identifier: MIT
#include "snapshot/checkpoint/write_tracking.h"

#include <dirent.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace holdfast::host::snapshot {

using base::Error;
using base::ErrorCode;
using base::Result;
using base::UniqueFd;

namespace {

constexpr std::string_view kKind = "anon_inode:[userfaultfd]";
constexpr std::string_view kFlags = "VmFlags:";
constexpr const char* kProtected = "uw";  // proc_pid_smaps(5)

struct ClosedDirectory {
  void operator()(DIR* directory) const { (void)::closedir(directory); }
};

std::vector<int> userfault_fds(const std::string& process) {
  std::vector<int> found;
  const std::string path = process + "/fd";
  const std::unique_ptr<DIR, ClosedDirectory> directory(::opendir(path.c_str()));
  if (!directory) return found;
  while (const dirent* entry = ::readdir(directory.get())) {
    std::array<char, 64> target{};
    const std::string link = path + "/" + entry->d_name;
    const ssize_t length = ::readlink(link.c_str(), target.data(), target.size());
    if (length < 0 || std::string_view(target.data(), static_cast<std::size_t>(length)) != kKind) {
      continue;
    }
    found.push_back(std::atoi(entry->d_name));
  }
  return found;
}

// "7f1a00000000-7f1a02000000 rw-p …" begins what is told of a range, and its flags end it.
std::vector<uffdio_range> protected_ranges(const std::string& process) {
  std::vector<uffdio_range> ranges;
  std::ifstream smaps(process + "/smaps");
  uffdio_range range{};
  for (std::string line; std::getline(smaps, line);) {
    if (line.starts_with(kFlags)) {
      std::istringstream flags(line.substr(kFlags.size()));
      for (std::string flag; flags >> flag;) {
        if (flag == kProtected) ranges.push_back(range);
      }
      continue;
    }
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    const char* const text = line.data();
    const auto first = std::from_chars(text, text + line.size(), begin, 16);
    if (first.ec != std::errc() || first.ptr == text + line.size() || *first.ptr != '-') continue;
    if (std::from_chars(first.ptr + 1, text + line.size(), end, 16).ec != std::errc()) continue;
    range = {begin, end - begin};
  }
  return ranges;
}

}  // namespace

Result<bool> end_write_tracking(pid_t qemu) {
  if (qemu <= 0) return Error(ErrorCode::kNotFound, "QEMU's process is not known");
  const std::string process = "/proc/" + std::to_string(qemu);
  const std::vector<uffdio_range> ranges = protected_ranges(process);
  if (ranges.empty()) return false;
  const UniqueFd handle(static_cast<int>(::syscall(SYS_pidfd_open, qemu, 0U)));
  if (!handle.valid()) return base::errno_error(errno, "unable to reach QEMU's process");
  std::optional<Error> problem;
  for (const int number : userfault_fds(process)) {
    const UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_getfd, handle.get(), number, 0U)));
    if (!fd.valid()) {
      problem = base::errno_error(errno, "unable to take over QEMU's userfaultfd");
      continue;
    }
    for (const uffdio_range& range : ranges) {
      uffdio_writeprotect unprotected{.range = range, .mode = 0};
      // Another one's range is refused; what is left is seen below.
      (void)::ioctl(fd.get(), UFFDIO_WRITEPROTECT, &unprotected);
      uffdio_range whole = range;
      (void)::ioctl(fd.get(), UFFDIO_UNREGISTER, &whole);
    }
  }
  if (protected_ranges(process).empty()) return true;
  if (problem) return std::move(*problem);
  return Error(ErrorCode::kRefused, "unable to end the write protection of the machine's memory");
}

}  // namespace holdfast::host::snapshot
