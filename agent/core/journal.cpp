// SPDX-License-Identifier: MIT
#include "core/journal.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <utility>

#include "base/file.h"
#include "base/text.h"

namespace holdfast::core {

namespace {

using base::Deadline;
using base::Durable;
using base::ErrorCode;
using base::Json;
using base::Result;

constexpr std::size_t kRecordLimit = std::size_t{1} << 20U;
// Some twenty resources. A longer record is written as any file is.
constexpr std::size_t kHeldRoom = std::size_t{16} << 10U;
// For what is written when nobody's writes wait any more.
constexpr std::chrono::seconds kSettleLimit{2};
constexpr mode_t kFileMode = 0644;
constexpr mode_t kDirectoryMode = 0755;

Result<void> make_directory(const std::string& path) {
  std::error_code problem;
  if (std::filesystem::is_directory(path, problem)) return {};
  std::filesystem::create_directories(path, problem);
  if (problem) {
    return base::errno_error(problem.value(), "unable to make the directory '" + path + "'");
  }
  // Whatever the umask: the host's agent and other users read the records.
  if (::chmod(path.c_str(), kDirectoryMode) != 0) {
    return base::errno_error(errno, "unable to set the mode of '" + path + "'");
  }
  return {};
}

std::string read_boot_id() {
  auto text = base::read_file("/proc/sys/kernel/random/boot_id", 128);
  return text ? std::string(base::trimmed(*text)) : std::string();
}

std::optional<Json> read_record(const std::string& path) {
  auto text = base::read_file(path, kRecordLimit);
  if (!text) return std::nullopt;
  auto json = base::parse_json(*text, {kRecordLimit, 16});
  if (!json || !json->is_object()) return std::nullopt;
  return std::move(*json);
}

// The newest first.
std::vector<std::string> record_files(const std::string& state_directory) {
  std::vector<std::pair<std::filesystem::file_time_type, std::string>> found;
  std::error_code problem;
  for (const auto& entry :
       std::filesystem::directory_iterator(state_directory + "/records", problem)) {
    if (entry.path().extension() != ".json") continue;
    const auto time = entry.last_write_time(problem);
    if (!problem) found.emplace_back(time, entry.path().string());
  }
  std::sort(found.begin(), found.end(), std::greater<>());
  std::vector<std::string> files;
  files.reserve(found.size());
  for (auto& [time, path] : found)
    files.push_back(std::move(path));
  return files;
}

void prune(const std::string& state_directory, std::size_t kept) {
  const auto files = record_files(state_directory);
  for (std::size_t i = kept; i < files.size(); ++i)
    (void)::unlink(files[i].c_str());
}

}  // namespace

Journal::Journal(std::string state_directory, std::string run_directory, std::size_t records_kept)
    : state_directory_(std::move(state_directory)),
      run_directory_(std::move(run_directory)),
      records_kept_(records_kept),
      boot_(read_boot_id()) {}

Result<void> Journal::open() {
  for (const std::string& directory :
       {run_directory_, state_directory_, state_directory_ + "/records"}) {
    if (auto made = make_directory(directory); !made) return made;
  }
  if (auto text = base::read_file(run_directory_ + "/sequence", 64)) {
    const std::string_view number = base::trimmed(*text);
    (void)std::from_chars(number.data(), number.data() + number.size(), sequence_);
  }
  // By the scribe, as all that is written to this disk: it may be frozen.
  (void)scribe_->perform(
      [path = held_path()] {
        base::discard_unfinished(path);
        return Result<void>();
      },
      Deadline::in(kSettleLimit));
  complete_lost();
  const std::string marker = run_directory_ + "/window.json";
  if (::access(marker.c_str(), F_OK) != 0) return {};
  // A marker that cannot be read is a marker all the same.
  Json left = read_record(marker).value_or(Json::object());
  const auto boot = base::string_member(left, "boot");
  if (boot && *boot != boot_) {
    // From before a reboot, in a run directory that survived it: nothing of it is left.
    (void)::unlink(marker.c_str());
    return {};
  }
  left_open_ = std::move(left);
  return {};
}

void Journal::complete_lost() {
  const std::string path = run_directory_ + "/lost.json";
  if (const auto held = read_record(path)) {
    const Json record = lost_with_its_daemon(*held);
    (void)write_last_keeping_marker(record);
    (void)write_done(record);
  }
  (void)::unlink(path.c_str());
}

std::uint64_t Journal::next_sequence() {
  ++sequence_;
  // Lost only with /run itself, and then the boot is another one.
  (void)write_in_memory("/sequence", std::to_string(sequence_) + "\n");
  return sequence_;
}

std::string Journal::record_path(const Json& record) const {
  const auto window = base::string_member(record, "window");
  const bool usable = window && base::is_plain_name(*window);
  return state_directory_ + "/records/" + (usable ? *window : "unknown") + ".json";
}

Result<void> Journal::begin_on_disk(const std::string& path, std::string text) {
  return scribe_->begin([path, text = std::move(text)] {
    return base::write_file(path, text, kFileMode, Durable::kNo);
  });
}

Result<void> Journal::finish_on_disk(const std::string& path, Result<void> begun,
                                     Deadline deadline) {
  auto written = begun ? scribe_->finish(deadline) : std::move(begun);
  if (written) return written;
  // The disk's silence doesn't know the file's name.
  const ErrorCode code = written.error().code();
  if (code != ErrorCode::kTimedOut && code != ErrorCode::kBusy) return written;
  return base::wrap(std::move(written).error(), "unable to write '" + path + "'");
}

std::string Journal::held_path() const {
  return state_directory_ + "/freeze.json";
}

Result<void> Journal::make_room(Deadline deadline) {
  room_ = std::make_shared<ReservedFile>();
  auto begun = scribe_->begin(
      [room = room_, path = held_path()] { return room->make(path, kHeldRoom, kFileMode); });
  auto made = finish_on_disk(held_path(), std::move(begun), deadline);
  if (made || made.error().code() == ErrorCode::kTimedOut) return made;
  return {};
}

void Journal::give_room_back() {
  if (!room_) return;
  (void)scribe_->perform(
      [room = std::exchange(room_, nullptr)] {
        room->discard();
        return Result<void>();
      },
      Deadline::in(kSettleLimit));
}

Result<void> Journal::write_held(const Json& record, Deadline deadline) {
  const std::string text = base::to_line(record) + "\n";
  const std::string path = held_path();
  // One file on disk, not two: everybody's writes wait for it, and again for the freeze to flush
  // it. And for as long as it takes the other one is written.
  auto begun = scribe_->begin([path, text, room = std::exchange(room_, nullptr)] {
    if (room && room->fill(text)) return Result<void>();
    if (room) room->discard();
    return base::write_file(path, text, kFileMode, Durable::kNo);
  });
  auto shown = write_in_memory("/last.json", text);
  auto written = finish_on_disk(path, std::move(begun), deadline);
  if (!written) return written;
  // Last: it says that this window is held.
  return shown ? write_in_memory("/window.json", text) : shown;
}

Result<void> Journal::write_in_memory(const char* name, const std::string& text) const {
  return base::write_file(run_directory_ + name, text, kFileMode, Durable::kNo);
}

Result<void> Journal::write_last_keeping_marker(const Json& record) {
  return write_in_memory("/last.json", base::to_line(record) + "\n");
}

Result<void> Journal::write_last(const Json& record) {
  auto written = write_last_keeping_marker(record);
  forget_left_open();
  return written;
}

Result<void> Journal::write_done(const Json& record) {
  return scribe_->perform(
      [text = base::to_line(record) + "\n", directory = state_directory_, held = held_path(),
       path = record_path(record), kept = records_kept_]() -> Result<void> {
        for (const std::string& file : {path, held}) {
          auto written = base::write_file(file, text, kFileMode, Durable::kNo);
          if (!written) return written;
        }
        prune(directory, kept);
        return {};
      },
      Deadline::in(kSettleLimit));
}

Result<void> Journal::write_drill(const Json& record, Deadline deadline) {
  const std::string path = state_directory_ + "/drill.json";
  return finish_on_disk(path, begin_on_disk(path, base::to_line(record) + "\n"), deadline);
}

void Journal::forget_left_open() {
  left_open_.reset();
  (void)::unlink((run_directory_ + "/window.json").c_str());
}

std::vector<Json> Journal::recent(std::size_t most) const {
  std::vector<Json> records;
  for (const std::string& path : record_files(state_directory_)) {
    if (records.size() >= most) break;
    if (auto record = read_record(path)) records.push_back(std::move(*record));
  }
  return records;
}

}  // namespace holdfast::core
