// SPDX-License-Identifier: MIT
//
// What the machine is, beside its disks, into the draft. It is worth less than the disks: what
// cannot be read is told, and the run goes on; what cannot be written fails it, as a disk would.
#include "base/duration.h"
#include "base/file.h"
#include "base/text.h"
#include "definition/gather.h"
#include "image/checksum.h"
#include "repository/manifest.h"
#include "run/backup_run.h"

namespace holdfast::host::run {

using base::Json;
using base::Result;

namespace {

// A file's times are those of the kernel's last tick, up to 10 ms before what it writes down.
constexpr std::chrono::milliseconds kTick{20};

}  // namespace

// As early as can be: none of it is held still as the disks are. It is written when they are there,
// since until then the room in the repository is set aside for them.
void BackupRun::take_definition() {
  const std::size_t told = definition_.lacking.size();
  definition::gather(definition_, repository::kLargestFile);
  for (std::size_t i = told; i < definition_.lacking.size(); ++i)
    observer_.note(definition_.lacking[i]);

  const base::WallTime instant =
      machine_.evidence().window.begin +
      std::chrono::duration_cast<base::WallTime::duration>(machine_.evidence().window.freeze_call);
  const auto now = std::chrono::system_clock::now();
  for (const definition::DefinitionFile& file : definition_.files) {
    Json entry{{"file", file.file}, {"what", file.what}, {"source", nullptr}};
    if (!file.source.empty()) {
      entry["source"] = file.source;
      entry["taken"] = base::format_time(now);
      entry["after_instant_ms"] =
          std::chrono::duration_cast<std::chrono::milliseconds>(now - instant).count();
      const bool changed =
          !file.modified || *file.modified >= machine_.evidence().window.begin - kTick;
      entry["changed_since_instant"] = changed;
      if (changed) {
        observer_.note("the " + file.what + " may have changed between the instant and the copy");
      }
    }
    definition_.about["files"].push_back(std::move(entry));
  }
}

Result<void> BackupRun::save_definition() {
  definition_.about["lacking"] = definition_.lacking;
  for (std::size_t i = 0; i < definition_.files.size(); ++i) {
    const definition::DefinitionFile& file = definition_.files[i];
    const std::string target = draft_->directory() + "/" + file.file;
    auto written = base::write_file(target, file.content, 0600, base::Durable::kYes);
    if (!written) return written;
    const auto digest = image::digest_file(target, stop_, {});
    if (!digest) return digest.error();
    Json& entry = definition_.about["files"][i];
    entry["bytes"] = digest->bytes;
    entry["sha256"] = digest->sha256;
  }
  return {};
}

}  // namespace holdfast::host::run
