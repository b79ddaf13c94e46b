// SPDX-License-Identifier: MIT
//
// The manifest of one backup, schema 1: which disks, in which files, with which checksums, at which
// level and on what evidence. What programs act on is typed and checked here; the rest, for people
// and for --json, stays in `document`.
//
// A manifest is read from a repository, and nothing there is trusted: names must be plain names,
// file names likewise, each once.
//
// Threads: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_codec.h"
#include "base/result.h"
#include "repository/group.h"
#include "repository/level.h"

namespace holdfast::host::repository {

inline constexpr int kManifestSchema = 1;
// Of a file that is no disk.
inline constexpr std::uint64_t kLargestFile = std::uint64_t{64} << 20U;

struct DiskEntry {
  std::string name;
  std::string file;  // beside the manifest
  std::uint64_t virtual_size = 0;
  std::uint64_t bytes = 0;  // of the file
  std::string sha256;
  // It is the flash of this unit, which is restored as it was: raw.
  std::optional<int> pflash;
  // Of an increment: the backup whose image of the same disk is the backing file. It is an older
  // one, so that no chain ever closes. Empty for an image that stands for itself.
  std::string backing_id;
};

// What the machine is, beside its disks: its definition, the state of its TPM.
struct FileEntry {
  std::string file;  // beside the manifest
  std::string what;  // to be shown
  std::uint64_t bytes = 0;
  std::string sha256;
};

// Of a container, in place of disks: everything below its root.
struct ArchiveEntry {
  std::string file;         // beside the manifest
  std::string compression;  // "none", "zstd"
  std::uint64_t bytes = 0;
  std::string sha256;
};

// The machine's memory, of the instant of the disks: QEMU's migration stream.
struct MemoryEntry {
  FileEntry file;
  bool compressed = false;  // by zstd
  std::string qemu;         // the version that has written it
  std::string machine;      // the type of the machine, as QEMU has resolved it
};

struct Manifest {
  std::string id;
  std::string vm;
  Level level = Level::kCrash;
  std::string begin;  // RFC 3339
  std::vector<DiskEntry> disks;
  std::vector<FileEntry> files;
  base::Json document;
  GroupEntry group = {};
  // Nothing: it has disks.
  std::optional<ArchiveEntry> archive = {};
  std::optional<MemoryEntry> memory = {};

  // Of everything in it.
  [[nodiscard]] std::uint64_t stored_bytes() const;
  // The backup that this one cannot be restored without; empty if there is none.
  [[nodiscard]] const std::string& parent() const;
};

// What stands in the header of an increment: "../ID/DISK.qcow2", so that qemu-img finds it wherever
// the repository is mounted.
[[nodiscard]] std::string backing_reference(const std::string& backing_id, const std::string& file);

// kCorrupt for what is no manifest or could not be one of ours, kUnsupported for a later schema.
[[nodiscard]] base::Result<Manifest> parse_manifest(std::string_view text);

}  // namespace holdfast::host::repository
