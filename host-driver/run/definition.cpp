// SPDX-License-Identifier: MIT
//
// What the machine is, beside its disks, into the draft. It is worth less than the disks: what
// cannot be read is told, and the run goes on; what cannot be written fails it, as a disk would.
#include "base/duration.h"
#include "base/file.h"
#include "base/text.h"
#include "definition/still_file.h"
#include "definition/tpm_state.h"
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

void BackupRun::lack(const std::string& line) {
  definition_.lacking.push_back(line);
  observer_.note(line);
}

// As early as can be: none of it is held still as the disks are. It is written when they are there,
// since until then the room in the repository is set aside for them.
void BackupRun::take_definition() {
  std::vector<definition::DefinitionFile> taken;
  for (definition::DefinitionFile& file : definition_.files) {
    if (!file.source.empty()) {
      auto still = definition::read_still_file(file.source, repository::kLargestFile);
      if (!still) {
        lack("without the " + file.what + ": " + still.error().one_line());
        continue;
      }
      file.content = std::move(still->content);
      file.modified = still->modified;
    }
    taken.push_back(std::move(file));
  }
  definition_.files = std::move(taken);
  definition_.about["tpm_state"] = nullptr;
  if (definition_.tpm) take_tpm_state(*definition_.tpm);

  const base::WallTime instant =
      evidence_.window.begin +
      std::chrono::duration_cast<base::WallTime::duration>(evidence_.window.freeze_call);
  const auto now = std::chrono::system_clock::now();
  for (const definition::DefinitionFile& file : definition_.files) {
    Json entry{{"file", file.file}, {"what", file.what}, {"source", nullptr}};
    if (!file.source.empty()) {
      entry["source"] = file.source;
      entry["taken"] = base::format_time(now);
      entry["after_instant_ms"] =
          std::chrono::duration_cast<std::chrono::milliseconds>(now - instant).count();
      const bool changed = !file.modified || *file.modified >= evidence_.window.begin - kTick;
      entry["changed_since_instant"] = changed;
      if (changed) {
        observer_.note("the " + file.what + " may have changed between the instant and the copy");
      }
    }
    definition_.about["files"].push_back(std::move(entry));
  }
}

void BackupRun::take_tpm_state(const definition::TpmPlace& place) {
  auto files = definition::read_tpm_state(place);
  if (!files) {
    return lack("without the state of the TPM: " + files.error().one_line());
  }
  for (definition::TpmFile& file : *files) {
    definition_.files.push_back(
        {file.name, "TPM state", std::move(file.content), std::move(file.source), file.modified});
  }
  definition_.about["tpm_state"] = {{"engine", place.engine},
                                    {"directory", place.directory},
                                    {"found_by", place.found_by},
                                    {"encrypted", place.encrypted}};
  if (place.encrypted) lack("without the key that the state of the TPM is encrypted with");
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
