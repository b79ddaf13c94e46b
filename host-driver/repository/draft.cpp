// SPDX-License-Identifier: MIT
#include "repository/draft.h"

#include <fcntl.h>
#include <stdio.h>  // renameat2: glibc, not std
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/file.h"
#include "base/text.h"
#include "repository/paths.h"

namespace holdfast::host::repository {

using base::Result;

Draft::Draft(std::string vm_directory, std::string id)
    : vm_directory_(std::move(vm_directory)),
      id_(std::move(id)),
      directory_(vm_directory_ + "/" + std::string(kIncompletePrefix) + id_) {}

Draft::Draft(Draft&& other) noexcept
    : vm_directory_(std::move(other.vm_directory_)),
      id_(std::move(other.id_)),
      directory_(std::move(other.directory_)),
      owned_(std::exchange(other.owned_, false)) {}

Draft::~Draft() {
  if (!owned_) return;
  std::error_code ignored;
  (void)std::filesystem::remove_all(directory_, ignored);
}

Result<Draft> Draft::create(const std::string& vm_directory, const std::string& id) {
  Draft draft(vm_directory, id);
  if (::mkdir(draft.directory_.c_str(), 0700) != 0) {
    const int problem = errno;
    draft.owned_ = false;
    return base::errno_error(
        problem, "unable to make the directory '" + base::printable(draft.directory_) + "'");
  }
  return draft;
}

Result<std::string> Draft::rename_to(const std::string& name, const base::Json& manifest) {
  auto written = base::write_file(directory_ + "/" + std::string(kManifestName),
                                  base::to_document(manifest), 0600, base::Durable::kYes);
  if (!written) return std::move(written).error();
  if (auto flushed = flush_directory(directory_); !flushed) return std::move(flushed).error();
  const std::string target = vm_directory_ + "/" + name;
  if (::renameat2(AT_FDCWD, directory_.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE) != 0) {
    // EINVAL: a filesystem that cannot refuse to replace (NFS). rename(2) onto a directory with
    // something in it fails by itself, and the name is random.
    if (errno != EINVAL || ::rename(directory_.c_str(), target.c_str()) != 0) {
      return base::errno_error(errno, "unable to publish '" + base::printable(target) + "'");
    }
  }
  owned_ = false;
  if (auto flushed = flush_directory(vm_directory_); !flushed) return std::move(flushed).error();
  return target;
}

Result<std::string> Draft::publish(const base::Json& manifest) {
  return rename_to(id_, manifest);
}

Result<std::string> Draft::keep_as_failed(const base::Json& manifest) {
  return rename_to(id_ + std::string(kFailedSuffix), manifest);
}

}  // namespace holdfast::host::repository
