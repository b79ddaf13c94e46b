// SPDX-License-Identifier: MIT
//
// Freeze records (core/record.h, core/journal.h). The input is what an earlier daemon may have left
// in /run and on the disk, and, read in another way, the content of a record to be written.
//
// "$BOOT" in the input stands for the identifier of this boot, so that an input can be of it.
#include "core/record.h"

#include <spdlog/sinks/null_sink.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "base/file.h"
#include "core/coordinator.h"
#include "fuzz.h"
#include "support/call_log.h"
#include "support/fake_clock.h"
#include "support/fake_dead_man.h"
#include "support/fake_fs_freezer.h"
#include "support/fake_thaw_watch.h"
#include "support/temporary_directory.h"

namespace holdfast::fuzz {

namespace {

using base::ErrorCode;
using base::Json;
using namespace std::chrono_literals;

// -- a record that is written ------------------------------------------------------------------

base::MonoTime moment(Bytes& bytes) {
  return base::MonoTime(std::chrono::nanoseconds(bytes.number() >> 2U));
}

core::Instant instant(Bytes& bytes) {
  // To the year 2255: a count of nanoseconds goes no further.
  return {base::WallTime(std::chrono::seconds(bytes.number() % 9'000'000'000ULL)), moment(bytes)};
}

api::Position position(Bytes& bytes) {
  api::Position position;
  for (int i = bytes.byte() % 4; i > 0; --i)
    position.emplace_back(bytes.text(), bytes.text());
  return position;
}

core::WindowRecord make_record(Bytes& bytes) {
  core::WindowRecord record;
  record.id = bytes.text();
  record.sequence = bytes.number();
  record.boot = bytes.text();
  record.begin = instant(bytes);
  if (bytes.byte() % 2 != 0) record.held = instant(bytes);
  if (bytes.byte() % 2 != 0) record.end = instant(bytes);
  for (int i = bytes.byte() % 4; i > 0; --i) {
    record.phases.push_back(
        {bytes.text(), moment(bytes), std::chrono::nanoseconds(bytes.number() >> 2U)});
  }
  for (int i = bytes.byte() % 4; i > 0; --i)
    record.filesystems.push_back(bytes.text());
  for (int i = bytes.byte() % 4; i > 0; --i) {
    core::ResourceRecord resource;
    resource.name = bytes.text();
    resource.plugin = bytes.text();
    resource.required = bytes.byte() % 2 != 0;
    resource.identity = {bytes.text(), bytes.text(), bytes.text(), bytes.text()};
    if (bytes.byte() % 2 != 0) resource.held_at = moment(bytes);
    if (bytes.byte() % 2 != 0) resource.lost_at = moment(bytes);
    resource.position = position(bytes);
    resource.position_at_thaw = position(bytes);
    resource.verdict = core::verdict_of({ErrorCode::kHoldLost, bytes.text()});
    record.resources.push_back(std::move(resource));
  }
  if (bytes.byte() % 2 != 0) record.verdict = core::verdict_of({ErrorCode::kHoldLost, "moved"});
  return record;
}

void check_written(std::string_view input) {
  Bytes bytes(input);
  const core::WindowRecord record = make_record(bytes);
  const std::string line = base::to_line(core::to_json(record));
  require(line.find('\n') == std::string::npos, "a record is one line");
  const auto read = base::parse_json(line);
  require(read.has_value(), "a record that was written can be read");
  require(base::to_line(*read) == line, "it is read as it was written");
  const auto again = base::parse_json(base::to_document(*read));
  require(again && *again == *read, "the form for people says the same");
  require(base::integer_member((*read)["begin"], "monotonic_ns").value_or(-1) ==
              record.begin.monotonic.time_since_epoch().count(),
          "the time is the one that was written");
  const Json lost = core::lost_with_its_daemon(*read);
  require(lost["state"] == "done" && lost["verdict"]["status"] == 33, "a lost window is lost");
}

// -- a record that is found --------------------------------------------------------------------

struct Place {
  support::TemporaryDirectory directory;
  std::string run = directory.file("run");
  std::string state = directory.file("state");

  Place() {
    std::filesystem::create_directories(run);
    std::filesystem::create_directories(state + "/records");
  }
  static void put(const std::string& path, std::string_view text) {
    require(base::write_file(path, text, 0644, base::Durable::kNo).has_value(), "a file");
  }
  void clear() const {
    for (const std::string& directory_path : {run, state, state + "/records"}) {
      for (const auto& entry : std::filesystem::directory_iterator(directory_path)) {
        if (!entry.is_directory()) (void)::unlink(entry.path().c_str());
      }
    }
  }
};

// Does the marker say that it is of another boot?
bool is_of_another_boot(std::string_view text, const std::string& boot) {
  const auto json = base::parse_json(text, {std::size_t{1} << 20U, 16});
  if (!json || !json->is_object()) return false;
  const auto said = base::string_member(*json, "boot");
  return said && *said != boot;
}

void check_marker(const Place& place, std::string_view text) {
  core::Journal journal(place.state, place.run, 3);
  require(journal.open().has_value(), "a journal opens whatever lies there");
  const bool owes = !is_of_another_boot(text, journal.boot());
  require(journal.left_open().has_value() == owes, "a marker that cannot be read is a marker");

  support::FakeClock clock;
  support::CallLog calls;
  support::FakeFsFreezer filesystems(calls);
  support::FakeDeadMan dead_man(calls);
  support::FakeThawWatch thaw_watch;
  core::Bell bell;
  const auto ring =
      std::make_shared<core::LogRing>(std::make_shared<spdlog::sinks::null_sink_mt>());
  spdlog::logger log("fuzz", ring);
  core::Coordinator coordinator(
      {1s, 1s, 60s, {"/fake"}, false, 50ms},
      {clock, filesystems, dead_man, journal, bell, log, *ring, thaw_watch}, {});
  require(!base::to_line(coordinator.status()).empty(), "there is a status");
  const auto thawed = coordinator.thaw();
  require(thawed.has_value() != owes, "a window that was left open is never told to be good");
  require(!owes || thawed.error().code() == ErrorCode::kDaemonRestarted, "the code says why");
  require(coordinator.thaw().has_value(), "it is told once");
  coordinator.settle();
}

void check_found(std::string_view input) {
  static const Place kPlace;
  std::string text(input);
  {
    const core::Journal journal(kPlace.state, kPlace.run, 3);
    constexpr std::string_view kBoot = "$BOOT";
    const std::size_t at = text.find(kBoot);
    if (at != std::string::npos) text.replace(at, kBoot.size(), journal.boot());
  }
  kPlace.clear();
  Place::put(kPlace.run + "/window.json", text);
  Place::put(kPlace.run + "/lost.json", text);
  Place::put(kPlace.run + "/sequence", text);
  Place::put(kPlace.state + "/records/found.json", text);
  check_marker(kPlace, text);
  core::Journal journal(kPlace.state, kPlace.run, 3);
  require(journal.open().has_value() && !journal.left_open(), "afterwards nothing is left open");
  require(journal.recent(10).size() <= 3, "old records are removed");
}

}  // namespace

void check(std::string_view input) {
  check_written(input);
  check_found(input);
}

}  // namespace holdfast::fuzz
