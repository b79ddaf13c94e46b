// SPDX-License-Identifier: MIT
#include "repository/stamps.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "repository/paths.h"

namespace holdfast::host::repository {

namespace {

std::int64_t nanoseconds(const timespec& time) {
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

std::optional<Stamp> stamp_of(int directory, const std::string& name, mode_t kind) {
  struct stat status {};
  if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 ||
      (status.st_mode & S_IFMT) != kind) {
    return std::nullopt;
  }
  return Stamp{static_cast<std::int64_t>(status.st_ino),
               kind == S_IFDIR ? 0 : static_cast<std::int64_t>(status.st_size),
               nanoseconds(status.st_mtim), nanoseconds(status.st_ctim)};
}

std::int64_t newest_in(const Stamps& stamps) {
  std::int64_t newest = 0;
  for (const Stamp& stamp :
       {stamps.directory, stamps.manifest, stamps.proof.value_or(stamps.manifest)}) {
    newest = std::max({newest, stamp.modified, stamp.changed});
  }
  return newest;
}

std::optional<Stamps> stamps_of(int vm_directory, const std::string& id, bool has_proof) {
  const auto directory = stamp_of(vm_directory, id, S_IFDIR);
  if (!directory) return std::nullopt;
  const auto manifest = stamp_of(vm_directory, id + "/" + std::string(kManifestName), S_IFREG);
  if (!manifest) return std::nullopt;
  Stamps stamps{*directory, *manifest, {}};
  if (!has_proof) return stamps;
  stamps.proof = stamp_of(vm_directory, id + "/" + std::string(kProofName), S_IFREG);
  if (!stamps.proof) return std::nullopt;
  return stamps;
}

}  // namespace holdfast::host::repository
