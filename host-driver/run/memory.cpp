// SPDX-License-Identifier: MIT
//
// The machine's memory, where the method keeps it. QEMU writes it uncompressed, since a machine may
// stand still, or a write of the guest wait, until it has done so; it is compressed afterwards.
#include <unistd.h>

#include "base/text.h"
#include "image/checksum.h"
#include "repository/paths.h"
#include "run/backup_run.h"
#include "run/evidence_json.h"

namespace holdfast::host::run {

using base::Deadline;
using base::Error;
using base::Json;
using base::Result;

namespace {

constexpr const char* kCompressor = "zstd";
constexpr std::string_view kCompressedSuffix = ".zst";

}  // namespace

Result<void> BackupRun::await_memory(const std::stop_token& stop) {
  auto kept = strategy_->memory(Deadline::in(settings_.copy_timeout), stop, [&](double percent) {
    observer_.progress("writing memory", percent);
  });
  if (!kept) return std::move(kept).error();
  if (!*kept) return {};
  memory_.emplace(CopiedMemory{**kept, (*kept)->file, false, 0, {}});
  if (!memory_->kept.live && settings_.memory == "auto") {
    observer_.note("the machine stood still until its memory was written: " +
                   memory_->kept.stopped_because);
  }
  return {};
}

Result<void> BackupRun::keep_memory(const std::stop_token& stop) {
  if (!memory_) return {};
  if (settings_.compress != name_of(image::Compression::kNone)) {
    if (auto compressed = compress_memory(stop); !compressed) return compressed;
  }
  const std::string path = draft_->directory() + "/" + memory_->file;
  if (auto flushed = repository::flush_file(path); !flushed) return flushed;
  auto digest = image::digest_file(
      path, stop, [this](double percent) { observer_.progress("checksum memory", percent); });
  if (!digest) return std::move(digest).error();
  memory_->bytes = digest->bytes;
  memory_->sha256 = std::move(digest->sha256);
  return {};
}

// Without room for it, or without the program, the memory is kept as QEMU has written it.
Result<void> BackupRun::compress_memory(const std::stop_token& stop) {
  observer_.progress("compressing memory", 0);
  const std::string from = draft_->directory() + "/" + memory_->file;
  const std::string to = from + std::string(kCompressedSuffix);
  const base::ProcessOutcome outcome =
      images_.processes().run({.argv = {kCompressor, "-q", "-T0", "-o", to, "--", from},
                               .environment = {},
                               .deadline = Deadline::in(settings_.copy_timeout),
                               .stop = stop});
  if (outcome.succeeded()) {
    if (::unlink(from.c_str()) != 0) {
      return base::errno_error(errno, "unable to remove '" + base::printable(from) + "'");
    }
    memory_->file += kCompressedSuffix;
    memory_->compressed = true;
    return {};
  }
  (void)::unlink(to.c_str());
  if (outcome.ending == base::ProcessOutcome::Ending::kCancelled) {
    return Error(base::ErrorCode::kCancelled, "interrupted");
  }
  observer_.note(outcome.as_error(kCompressor).text() +
                 ", continuing: the memory is kept uncompressed");
  return {};
}

Json BackupRun::memory_json() const {
  if (!memory_) return {};
  const snapshot::KeptMemory& kept = memory_->kept;
  const Json& about = definition_.about;
  return {{"file", memory_->file},
          {"compression", memory_->compressed ? "zstd" : "none"},
          {"bytes", memory_->bytes},
          {"sha256", memory_->sha256},
          {"ram_bytes", kept.ram_bytes},
          {"live", kept.live},
          {"stopped_because", kept.live ? Json() : Json(kept.stopped_because)},
          {"standstill_ms", milliseconds(kept.standstill)},
          {"qemu", machine_.monitor().version()},
          {"machine", about.is_object() ? about.value("machine", Json()) : Json()},
          {"definition", "definition.json"}};
}

}  // namespace holdfast::host::run
