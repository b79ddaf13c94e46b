// SPDX-License-Identifier: MIT
#include "boot/host_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <string_view>

#include "base/text.h"
#include "base/uninterrupted.h"
#include "base/unique_fd.h"
#include "image/checksum.h"

namespace holdfast::host::boot {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

// Of a kernel's boot sector: the signature of its header (Linux: Documentation/x86/boot.rst).
constexpr std::size_t kKernelHeader = 0x202;
constexpr std::string_view kKernelMagic = "HdrS";
constexpr std::size_t kHead = 1024;
constexpr const char* kPackaged = "/usr/share/";

// The first bytes of a regular file.
Result<std::string> head_of(const std::string& path) {
  const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return base::errno_error(errno, "unable to open " + base::in_quotes(path));
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return Error(ErrorCode::kRefused, base::in_quotes(path) + " is not a regular file");
  }
  std::string head(kHead, '\0');
  const ssize_t count =
      base::uninterrupted([&] { return ::pread(fd.get(), head.data(), head.size(), 0); });
  if (count < 0) return base::errno_error(errno, "unable to read " + base::in_quotes(path));
  head.resize(static_cast<std::size_t>(count));
  return head;
}

bool is_kernel(std::string_view head) {
  return head.size() > kKernelHeader + kKernelMagic.size() &&
         head.substr(kKernelHeader, kKernelMagic.size()) == kKernelMagic;
}

// What Linux takes (init/initramfs.c, lib/decompress.c).
bool is_initrd(std::string_view head) {
  static constexpr std::array<std::string_view, 9> kMagics{"070701",
                                                           "070702",
                                                           "\x1f\x8b",
                                                           "\xfd"
                                                           "7zXZ",
                                                           "\x28\xb5\x2f\xfd",
                                                           "BZh",
                                                           "\x02\x21\x4c\x18",
                                                           "\x5d\x00",
                                                           "\x89LZO"};
  return std::any_of(kMagics.begin(), kMagics.end(),
                     [&](std::string_view magic) { return head.starts_with(magic); });
}

Result<void> check_kernel(const Kernel& kernel) {
  const auto head = head_of(kernel.path);
  if (!head) return base::wrap(head.error(), "unable to use the machine's kernel");
  if (!is_kernel(*head)) {
    return Error(ErrorCode::kRefused, base::in_quotes(kernel.path) + " is not a kernel");
  }
  if (kernel.initrd.empty()) return {};
  const auto initrd = head_of(kernel.initrd);
  if (!initrd) return base::wrap(initrd.error(), "unable to use the machine's initrd");
  if (!is_initrd(*initrd)) {
    return Error(ErrorCode::kRefused, base::in_quotes(kernel.initrd) + " is not an initrd");
  }
  return {};
}

Result<void> check_firmware(Firmware& firmware, Plan& plan, const std::stop_token& stop) {
  std::error_code problem;
  const std::string real = std::filesystem::canonical(firmware.path, problem).string();
  const bool same_size = !problem && std::filesystem::is_regular_file(real, problem) &&
                         std::filesystem::file_size(real, problem) == firmware.bytes;
  if (problem || !same_size) {
    return Error(ErrorCode::kNotFound, "unable to use the machine's firmware " +
                                           base::in_quotes(firmware.path) +
                                           ": it is not there as it was");
  }
  const auto digest = image::digest_file(real, stop, {});
  if (!digest) return digest.error();
  firmware.path = real;
  if (digest->sha256 == firmware.sha256) return {};
  struct stat status {};
  const bool packaged = real.starts_with(kPackaged) && ::stat(real.c_str(), &status) == 0 &&
                        (status.st_mode & S_IROTH) != 0;
  if (!packaged) {
    return Error(ErrorCode::kRefused,
                 "the firmware " + base::in_quotes(firmware.path) + " is not what the machine had");
  }
  plan.notes.push_back("its firmware " + base::in_quotes(firmware.path) +
                       " is newer or older than the machine's was");
  return {};
}

}  // namespace

Result<void> check_host_files(Plan& plan, const std::stop_token& stop) {
  for (Firmware& firmware : plan.firmware) {
    if (auto right = check_firmware(firmware, plan, stop); !right) return right;
  }
  return plan.kernel ? check_kernel(*plan.kernel) : Result<void>();
}

}  // namespace holdfast::host::boot
