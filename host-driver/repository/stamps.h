// SPDX-License-Identifier: MIT
//
// By what one knows, without opening anything, that nothing of a backup has changed since it was
// read: number, size and times of its manifest and of its proof, and those of its directory, in
// which nothing comes, goes or is replaced without its times changing.
//
// Threads: any.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace holdfast::host::repository {

// By what a file or directory is known again. Times are nanoseconds of its filesystem's clock.
struct Stamp {
  std::int64_t inode = 0;
  std::int64_t size = 0;  // of a directory: 0
  std::int64_t modified = 0;
  std::int64_t changed = 0;

  bool operator==(const Stamp&) const = default;
};

struct Stamps {
  Stamp directory;
  Stamp manifest;
  std::optional<Stamp> proof;  // nothing: there is none

  bool operator==(const Stamps&) const = default;
};

// Of the backup `id` in a machine's directory, which is open as `vm_directory`; `has_proof` says
// whether to look for one. Nothing if anything is not what it has to be.
[[nodiscard]] std::optional<Stamps> stamps_of(int vm_directory, const std::string& id,
                                              bool has_proof);

// The latest of all its times.
[[nodiscard]] std::int64_t newest_in(const Stamps& stamps);

// Of one name, which must be of this kind (S_IFREG, S_IFDIR) and is not followed.
[[nodiscard]] std::optional<Stamp> stamp_of(int directory, const std::string& name, mode_t kind);

}  // namespace holdfast::host::repository
