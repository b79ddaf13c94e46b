// SPDX-License-Identifier: MIT
#include "snapshot/clone_file.h"

#include <linux/fs.h>
#include <sys/ioctl.h>

#include <cerrno>

#include "base/uninterrupted.h"

namespace holdfast::host::snapshot {

using base::Result;

Result<void> make_alike(int from, int to) {
  unsigned int wanted = 0;
  unsigned int own = 0;
  // What has no such flags has no such files.
  if (::ioctl(from, FS_IOC_GETFLAGS, &wanted) != 0) return {};
  if (::ioctl(to, FS_IOC_GETFLAGS, &own) == 0) {
    // A new file has it as its directory has it.
    if (((own ^ wanted) & FS_NOCOW_FL) == 0) return {};
    own ^= FS_NOCOW_FL;
    if (::ioctl(to, FS_IOC_SETFLAGS, &own) == 0) return {};
  }
  return base::errno_error(errno, (wanted & FS_NOCOW_FL) != 0
                                      ? "unable to make a file without copy-on-write"
                                      : "unable to make a file with copy-on-write");
}

Result<void> clone_file(int from, int to) {
  const int done = base::uninterrupted([&] { return ::ioctl(to, FICLONE, from); });
  if (done != 0) return base::errno_error(errno, "unable to clone it");
  return {};
}

}  // namespace holdfast::host::snapshot
