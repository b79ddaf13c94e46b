// SPDX-License-Identifier: MIT
#include "command/restored_file.h"

#include <fcntl.h>
#include <stdio.h>  // renameat2: glibc, not std
#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "base/scope_guard.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "image/checksum.h"

namespace holdfast::host::command {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

Result<void> write_all(int fd, const std::string& content, const std::string& path) {
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t count = ::write(fd, content.data() + done, content.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::errno_error(errno, "unable to write '" + path + "'");
    done += static_cast<std::size_t>(count);
  }
  if (::fsync(fd) != 0) return base::errno_error(errno, "unable to flush '" + path + "'");
  return {};
}

}  // namespace

Result<void> restore_file(const repository::Backup& backup, const repository::FileEntry& file,
                          const std::string& directory) {
  const auto path = repository::Repository::file_path(backup.directory, file);
  if (!path) return path.error();
  const auto content = base::read_file(*path, file.bytes);
  if (!content) return content.error();

  const std::string target = directory + "/" + file.file;
  const std::string partial = target + ".partial";
  const base::UniqueFd fd(
      ::open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.valid()) {
    return base::errno_error(errno, "unable to make '" + base::printable(partial) + "'");
  }
  base::ScopeGuard remove([&] { (void)::unlink(partial.c_str()); });
  auto written = write_all(fd.get(), *content, base::printable(partial));
  if (!written) return written;
  // Of what is restored, and not of what was there to be restored a moment ago.
  const auto digest = image::digest_file(partial, {}, {});
  if (!digest) return digest.error();
  if (digest->sha256 != file.sha256) {
    return Error(ErrorCode::kCorrupt,
                 "the checksum of '" + base::printable(*path) + "' is not that of the manifest");
  }
  if (::renameat2(AT_FDCWD, partial.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE) != 0) {
    return base::errno_error(errno, "unable to name '" + base::printable(target) + "'");
  }
  remove.dismiss();
  return {};
}

}  // namespace holdfast::host::command
