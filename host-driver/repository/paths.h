// SPDX-License-Identifier: MIT
//
// Names in a repository, and the few operations on directories that must not follow a link or lose
// a file to a power cut.
//
//   REPOSITORY/holdfast-repository            the mark that it is ours
//   REPOSITORY/VM/.lock                       one run at a time
//   REPOSITORY/VM/ID/{manifest.json,DISK.qcow2}
//   REPOSITORY/VM/ID/manifest.json            also the lock of who reads the backup (Use)
//   REPOSITORY/VM/ID/protected                this one is never pruned
//   REPOSITORY/VM/ID/proof.json               what came of starting it (proof.h)
//   REPOSITORY/VM/.incomplete-ID/             being written; not a backup
//   REPOSITORY/VM/.removing-ID/               being removed; not a backup any more
//   REPOSITORY/VM/ID.failed/                  kept on request; not a backup
//
// Threads: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace holdfast::host::repository {

inline constexpr std::string_view kMarkName = "holdfast-repository";
inline constexpr std::string_view kManifestName = "manifest.json";
inline constexpr std::string_view kProtectedName = "protected";
inline constexpr std::string_view kProofName = "proof.json";
inline constexpr std::string_view kUnboundName = "unbound";
// Compressed, with ".zst" behind it.
inline constexpr std::string_view kMemoryName = "memory.state";
inline constexpr std::string_view kRemovingPrefix = ".removing-";
inline constexpr std::string_view kIncompletePrefix = ".incomplete-";
inline constexpr std::string_view kFailedSuffix = ".failed";

// "20261120T182114Z-1f3a9c0b": sorts by time, to 15 microseconds, and differs even then.
[[nodiscard]] base::Result<std::string> make_backup_id(base::WallTime time);
[[nodiscard]] bool is_backup_id(std::string_view name);

// Eight random hexadecimal digits.
[[nodiscard]] base::Result<std::string> make_tag();

// kUsage unless it may become a directory's name.
[[nodiscard]] base::Result<void> check_vm_name(std::string_view name);

enum class Kind { kMissing, kDirectory, kFile, kOther };
// Without following a link at the end of the path.
[[nodiscard]] base::Result<Kind> kind_of(const std::string& path);

// Mode 0700; one that is there already is fine, a link or file in its place is not.
[[nodiscard]] base::Result<void> ensure_directory(const std::string& path);
// The same for every missing parent as well.
[[nodiscard]] base::Result<void> ensure_directories(const std::string& path);
[[nodiscard]] base::Result<void> flush_directory(const std::string& path);
[[nodiscard]] base::Result<void> flush_file(const std::string& path);
// What can be written there by an unprivileged user, in bytes.
[[nodiscard]] base::Result<std::uint64_t> free_space(const std::string& path);

}  // namespace holdfast::host::repository
