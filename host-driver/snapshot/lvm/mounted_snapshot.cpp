// SPDX-License-Identifier: MIT
#include "snapshot/lvm/mounted_snapshot.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <initializer_list>

#include "base/file.h"
#include "base/text.h"

namespace holdfast::host::snapshot {

using base::Error;
using base::ErrorCode;
using base::Result;
using base::UniqueFd;

namespace {

constexpr std::size_t kMountinfoLimit = std::size_t{4} << 20U;

// Spaces and the like stand as "\040" (Linux: seq_path(), mangle()).
std::string unescaped(std::string_view text) {
  constexpr std::size_t kDigits = 3;
  constexpr int kOctal = 8;
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    const char* begin = text.data() + i + 1;
    if (text[i] == '\\' && text.size() - i > kDigits &&
        std::from_chars(begin, begin + kDigits, value, kOctal).ptr == begin + kDigits) {
      plain += static_cast<char>(value);
      i += kDigits;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

std::string_view next_word(std::string_view& line) {
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(std::min(line.size(), word.size() + 1));
  return word;
}

// What the kernel has to say of a filesystem's options and state, one message at a time.
std::string last_words(int context) {
  std::string words;
  std::array<char, 512> buffer{};
  ssize_t size = 0;
  while ((size = ::read(context, buffer.data(), buffer.size())) > 0) {
    std::string_view message(buffer.data(), static_cast<std::size_t>(size));
    // "e message": an error; others are warnings and such.
    if (message.starts_with("e ")) words = message.substr(2);
  }
  return words;
}

Error mount_error(int problem, int context, const std::string& device) {
  std::string words = last_words(context);
  Error error =
      base::errno_error(problem, "unable to mount the snapshot " + base::in_quotes(device));
  if (words.empty()) return error;
  return std::move(error).caused_by(Error(ErrorCode::kIo, base::printable(base::trimmed(words))));
}

}  // namespace

Result<std::string> path_in_filesystem(std::string_view mountinfo, std::uint64_t mount,
                                       const std::string& path) {
  // 36 35 98:0 /part /mnt/point rw,noatime - ext4 /dev/vg/lv rw
  while (!mountinfo.empty()) {
    std::string_view line = mountinfo.substr(0, mountinfo.find('\n'));
    mountinfo.remove_prefix(std::min(mountinfo.size(), line.size() + 1));
    if (next_word(line) != std::to_string(mount)) continue;
    (void)next_word(line);  // the parent
    (void)next_word(line);  // the device
    const std::string root = unescaped(next_word(line));
    const std::string point = unescaped(next_word(line));
    const std::string above = point == "/" ? "" : point;
    if (!(path + "/").starts_with(above + "/") || !root.starts_with('/')) break;
    const std::string inside = (root == "/" ? "" : root) + path.substr(above.size());
    return inside.empty() ? "/" : inside;
  }
  return Error(ErrorCode::kNotFound,
               "unable to find where " + base::in_quotes(path) + " is mounted");
}

Result<std::string> path_in_filesystem(const std::string& path) {
  struct statx status {};
  if (::statx(AT_FDCWD, path.c_str(), 0, STATX_MNT_ID, &status) != 0) {
    return base::errno_error(errno, "unable to look at " + base::in_quotes(path));
  }
  const auto mountinfo = base::read_file("/proc/self/mountinfo", kMountinfoLimit);
  if (!mountinfo) return mountinfo.error();
  return path_in_filesystem(*mountinfo, status.stx_mnt_id, path);
}

Result<std::string> filesystem_of(const std::string& path) {
  struct statfs status {};
  if (::statfs(path.c_str(), &status) != 0) {
    return base::errno_error(errno, "unable to look at " + base::in_quotes(path));
  }
  const auto kind = static_cast<unsigned long>(status.f_type);
  if (kind == EXT4_SUPER_MAGIC) return std::string("ext4");
  if (kind == XFS_SUPER_MAGIC) return std::string("xfs");
  return Error(ErrorCode::kUnsupported, base::in_quotes(path) + " is neither on ext4 nor on XFS")
      .with_hint("see METHODS in holdfast(1) for others");
}

Result<MountedSnapshot> MountedSnapshot::of(const std::string& device,
                                            const std::string& filesystem) {
  const UniqueFd context(::fsopen(filesystem.c_str(), FSOPEN_CLOEXEC));
  if (!context.valid()) {
    return base::errno_error(errno,
                             "unable to mount a filesystem of the kind '" + filesystem + "'");
  }
  const int fd = context.get();
  bool done = ::fsconfig(fd, FSCONFIG_SET_STRING, "source", device.c_str(), 0) == 0 &&
              ::fsconfig(fd, FSCONFIG_SET_FLAG, "ro", nullptr, 0) == 0;
  if (filesystem == "xfs") {
    // Its original is mounted: the same UUID twice.
    done = done && ::fsconfig(fd, FSCONFIG_SET_FLAG, "norecovery", nullptr, 0) == 0 &&
           ::fsconfig(fd, FSCONFIG_SET_FLAG, "nouuid", nullptr, 0) == 0;
  } else {
    done = done && ::fsconfig(fd, FSCONFIG_SET_FLAG, "noload", nullptr, 0) == 0;
  }
  done = done && ::fsconfig(fd, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0;
  if (!done) return mount_error(errno, fd, device);
  UniqueFd top(
      ::fsmount(fd, FSMOUNT_CLOEXEC,
                MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
  if (!top.valid()) return mount_error(errno, fd, device);
  return MountedSnapshot(std::move(top));
}

Result<std::string> MountedSnapshot::path_of(const std::string& original) const {
  const auto inside = path_in_filesystem(original);
  if (!inside) return inside.error();
  struct stat now {};
  struct stat then {};
  if (::stat(original.c_str(), &now) != 0) {
    return base::errno_error(errno, "unable to look at " + base::in_quotes(original));
  }
  const std::string name = *inside == "/" ? "." : inside->substr(1);
  if (::fstatat(top_.get(), name.c_str(), &then, AT_SYMLINK_NOFOLLOW) != 0) {
    return base::errno_error(errno,
                             "unable to find " + base::in_quotes(original) + " in the snapshot");
  }
  const bool useful = S_ISREG(then.st_mode) || S_ISDIR(then.st_mode);
  if (!useful || (then.st_mode & S_IFMT) != (now.st_mode & S_IFMT) || then.st_ino != now.st_ino) {
    return Error(ErrorCode::kCorrupt,
                 base::in_quotes(original) + " is not what it was in the snapshot");
  }
  return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(top_.get()) + *inside;
}

}  // namespace holdfast::host::snapshot
