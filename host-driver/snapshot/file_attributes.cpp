// SPDX-License-Identifier: MIT
#include "snapshot/file_attributes.h"

#include <limits.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::host::snapshot {

using base::Result;

namespace {

constexpr mode_t kPermissions = 07777;

Result<void> copy_attribute(int from, int to, const std::string& name) {
  std::vector<char> value(XATTR_SIZE_MAX);
  const ssize_t size = ::fgetxattr(from, name.c_str(), value.data(), value.size());
  if (size >= 0 &&
      ::fsetxattr(to, name.c_str(), value.data(), static_cast<std::size_t>(size), 0) == 0) {
    return {};
  }
  return base::errno_error(errno, "unable to copy the attribute '" + name + "'");
}

}  // namespace

Result<void> copy_attributes(int from, int to) {
  struct stat status {};
  if (::fstat(from, &status) != 0) return base::errno_error(errno, "fstat");
  // In this order: a new owner takes bits of the mode away, and an ACL has the group's.
  if (::fchown(to, status.st_uid, status.st_gid) != 0 ||
      ::fchmod(to, status.st_mode & kPermissions) != 0) {
    return base::errno_error(errno, "unable to give it its owner and mode");
  }
  std::vector<char> names(XATTR_LIST_MAX);
  const ssize_t length = ::flistxattr(from, names.data(), names.size());
  if (length < 0) {
    if (errno == EOPNOTSUPP) return {};
    return base::errno_error(errno, "unable to list its attributes");
  }
  std::string_view rest(names.data(), static_cast<std::size_t>(length));
  while (!rest.empty()) {
    const std::string name(rest.substr(0, rest.find('\0')));
    rest.remove_prefix(name.size() + 1);
    if (auto copied = copy_attribute(from, to, name); !copied) return copied;
  }
  return {};
}

}  // namespace holdfast::host::snapshot
