// SPDX-License-Identifier: MIT
//
// What a machine is, beside its disks, as far as a backup keeps it: small files, what the manifest
// says of them, and what could not be had. Nothing of it is needed to restore a disk, so that what
// is lacking is told and never fails a run.
//
// Threads: plain values.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/json_codec.h"
#include "definition/tpm_place.h"

namespace holdfast::host::definition {

struct DefinitionFile {
  std::string file;     // its name in the backup
  std::string what;     // "definition", "UEFI variables"
  std::string content;  // of the file; or, if empty,
  std::string source;   // where it is copied from, after the instant
  // When that was last written to.
  std::optional<std::chrono::system_clock::time_point> modified = {};
};

struct Definition {
  base::Json about;  // for the manifest; null: there is none
  std::vector<DefinitionFile> files;
  // Its state is copied after the instant.
  std::optional<TpmPlace> tpm;
  // What is not kept, and why.
  std::vector<std::string> lacking;
};

}  // namespace holdfast::host::definition
