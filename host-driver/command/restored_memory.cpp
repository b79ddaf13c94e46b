// SPDX-License-Identifier: MIT
#include "command/restored_memory.h"

namespace holdfast::host::command {

using base::Result;

Result<PartialFile> restored_memory(const repository::Backup& backup, const std::string& target,
                                    base::ProcessRunner& processes, base::Deadline deadline,
                                    const std::stop_token& stop) {
  const repository::MemoryEntry& memory = *backup.manifest.memory;
  const auto path = repository::Repository::file_path(backup.directory, memory.file);
  if (!path) return path.error();
  auto partial = PartialFile::of(target);
  if (!partial) return partial;
  std::vector<std::string> argv{"cp", "--", *path, partial->path()};
  if (memory.compressed) argv = {"zstd", "-d", "-q", "-f", "-o", partial->path(), "--", *path};
  const std::string program = argv.front();
  const base::ProcessOutcome outcome = processes.run(
      {.argv = std::move(argv), .environment = {}, .deadline = deadline, .stop = stop});
  if (!outcome.succeeded()) return outcome.as_error(program);
  return partial;
}

}  // namespace holdfast::host::command
