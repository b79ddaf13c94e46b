// SPDX-License-Identifier: MIT
#include "redis/pause_note.h"

#include <unistd.h>

#include "base/file.h"
#include "base/json_codec.h"

namespace holdfast::redis {

namespace {

constexpr mode_t kMode = 0600;
constexpr std::size_t kLimit = 4096;

// The same for every process until the next boot, which /run does not survive either.
base::Millis since_boot() {
  return std::chrono::duration_cast<base::Millis>(
      std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace

base::Result<void> PauseNote::write(const std::string& run_id, base::Millis bound) const {
  if (path_.empty()) return {};
  const base::Json note{{"run-id", run_id}, {"until-ms", (since_boot() + bound).count()}};
  return base::write_file(path_, base::to_line(note) + "\n", kMode, base::Durable::kNo);
}

std::optional<std::string> PauseNote::read() const {
  if (path_.empty()) return std::nullopt;
  const auto text = base::read_file(path_, kLimit);
  if (!text) return std::nullopt;
  const auto note = base::parse_json(*text);
  if (!note) return std::nullopt;
  auto run_id = base::string_member(*note, "run-id");
  const auto until = base::integer_member(*note, "until-ms");
  if (!run_id || !until || *until < since_boot().count()) return std::nullopt;
  return std::move(*run_id);
}

void PauseNote::forget() const {
  if (!path_.empty()) (void)::unlink(path_.c_str());
}

}  // namespace holdfast::redis
