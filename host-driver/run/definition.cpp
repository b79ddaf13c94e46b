// SPDX-License-Identifier: MIT
//
// What the machine is, beside its disks, into the draft.
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "image/checksum.h"
#include "run/backup_run.h"

namespace holdfast::host::run {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

// UEFI variables are some hundred KiB; what is larger is something else.
constexpr std::size_t kLargest = std::size_t{64} << 20U;

Result<std::string> content_of(const DefinitionFile& file) {
  if (file.source.empty()) return file.content;
  return base::read_file(file.source, kLargest);
}

}  // namespace

Result<void> BackupRun::save_definition() {
  for (const DefinitionFile& file : definition_.files) {
    const std::string target = draft_->directory() + "/" + file.file;
    auto content = content_of(file);
    if (!content) {
      return base::wrap(std::move(content).error(), "unable to save the " + file.what);
    }
    auto written = base::write_file(target, *content, 0600, base::Durable::kYes);
    if (!written) return written;
    const auto digest = image::digest_file(target, stop_, {});
    if (!digest) return digest.error();
    definition_.about["files"].push_back(
        {{"file", file.file},
         {"what", file.what},
         {"source", file.source.empty() ? base::Json() : base::Json(file.source)},
         {"bytes", digest->bytes},
         {"sha256", digest->sha256}});
  }
  return {};
}

}  // namespace holdfast::host::run
