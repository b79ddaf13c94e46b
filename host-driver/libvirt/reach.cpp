// SPDX-License-Identifier: MIT
#include "libvirt/reach.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "base/uninterrupted.h"
#include "base/unique_fd.h"

namespace holdfast::host::libvirt {

using base::Error;
using base::ErrorCode;
using base::Result;
using base::UniqueFd;

namespace {

constexpr mode_t kThrough = 0711;

// In a process of its own, which becomes this user for it: access lists, and whatever else there
// is, are the kernel's to judge. Only system calls, since there are threads.
bool gets_to(const std::string& directory, const Owner& owner) {
  const pid_t child = ::fork();
  if (child == 0) {
    const bool became = ::setgroups(0, nullptr) == 0 &&
                        ::setresgid(owner.group, owner.group, owner.group) == 0 &&
                        ::setresuid(owner.user, owner.user, owner.user) == 0;
    ::_exit(became && ::access(directory.c_str(), X_OK) == 0 ? 0 : 1);
  }
  if (child < 0) return true;  // it shows when libvirt tries
  int status = 0;
  (void)base::uninterrupted([&] { return ::waitpid(child, &status, 0); });
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

Result<void> open_way(const std::string& directory) {
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status {};
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0 ||
      ::fchmod(fd.get(), (status.st_mode & 07777U) | kThrough) != 0) {
    return base::errno_error(errno, "unable to open " + base::in_quotes(directory) + " for QEMU");
  }
  return {};
}

Result<void> give(const std::string& path, const Owner& owner) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid() || ::fchown(fd.get(), owner.user, owner.group) != 0 ||
      ::fchmod(fd.get(), 0600) != 0) {
    return base::errno_error(errno, "unable to set the owner of " + base::in_quotes(path));
  }
  return {};
}

bool is_us(const Owner& owner) {
  return owner.user == ::geteuid() || owner.user == 0;
}

}  // namespace

Result<Owner> owner_of(const std::string& image) {
  struct stat status {};
  if (::stat(image.c_str(), &status) != 0) {
    return base::errno_error(errno, "unable to find the image " + base::in_quotes(image));
  }
  return Owner{status.st_uid, status.st_gid};
}

Result<void> let_through(const std::string& directory, const Owner& owner) {
  if (is_us(owner)) return {};
  const std::string above = directory.substr(0, directory.rfind('/'));
  for (const std::string& own : {above, directory}) {
    if (auto opened = open_way(own); !opened) return opened;
  }
  if (::geteuid() != 0 || gets_to(directory, owner)) return {};
  return Error(ErrorCode::kPermission, "the machine's QEMU, user " + std::to_string(owner.user) +
                                           ", cannot get to " + base::in_quotes(above))
      .with_hint(
          "let it through every directory on the way (chmod o+x, or setfacl -m u:USER:x), or use "
          "method = overlay");
}

Result<void> lend(const std::string& path, const Owner& owner) {
  return is_us(owner) ? Result<void>() : give(path, owner);
}

Result<void> take_back(const std::string& path) {
  return give(path, {::geteuid(), ::getegid()});
}

}  // namespace holdfast::host::libvirt
