// SPDX-License-Identifier: MIT
#include "repository/summary.h"

namespace holdfast::host::repository {

Summary summary_of(const Backup& backup) {
  const Manifest& manifest = backup.manifest;
  Summary summary{.vm = manifest.vm,
                  .id = manifest.id,
                  .directory = backup.directory,
                  .begin = manifest.begin,
                  .level = manifest.level,
                  .parent = manifest.parent(),
                  .is_archive = manifest.archive.has_value(),
                  .is_protected = backup.is_protected,
                  .group = manifest.group,
                  .disks = manifest.disks.size(),
                  .memory_bytes = {},
                  .bytes = manifest.stored_bytes(),
                  .proof = {},
                  .proof_is_unusable = false};
  if (manifest.memory) summary.memory_bytes = manifest.memory->file.bytes;
  const auto proof = read_proof(backup.directory);
  summary.proof_is_unusable = !proof;
  if (proof && *proof) summary.proof = Summary::Proof{(*proof)->result, (*proof)->at};
  return summary;
}

}  // namespace holdfast::host::repository
