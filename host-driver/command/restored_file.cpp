// SPDX-License-Identifier: MIT
#include "command/restored_file.h"

#include "base/file.h"
#include "base/text.h"
#include "image/checksum.h"

namespace holdfast::host::command {

using base::Error;
using base::ErrorCode;
using base::Result;

Result<PartialFile> restored_file(const repository::Backup& backup,
                                  const repository::FileEntry& file, const std::string& directory) {
  const auto path = repository::Repository::file_path(backup.directory, file);
  if (!path) return path.error();
  const auto content = base::read_file(*path, file.bytes);
  if (!content) return content.error();

  auto partial = PartialFile::of(directory + "/" + file.file);
  if (!partial) return partial;
  if (auto written = partial->write(*content); !written) return std::move(written).error();
  // Of what is restored, and not of what was there to be restored a moment ago.
  const auto digest = image::digest_file(partial->path(), {}, {});
  if (!digest) return digest.error();
  if (digest->sha256 != file.sha256) {
    return Error(ErrorCode::kCorrupt,
                 "the checksum of '" + base::printable(*path) + "' is not that of the manifest");
  }
  return partial;
}

}  // namespace holdfast::host::command
