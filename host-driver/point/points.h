// SPDX-License-Identifier: MIT
//
// The restore points of one machine: states of its disks that are kept where the disks are, as
// opposed to backups. They form a tree, since a machine that was reverted goes on from there.
//
// Threads: plain values. Errors: kProtocol, kTooLarge, kUnsupported for a document that is none.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_codec.h"
#include "base/result.h"
#include "image/source.h"
#include "repository/level.h"

namespace holdfast::host::point {

// Where the states are: inside the images, in files beside them (image/point_file.h), or in
// snapshots of the subvolumes that they are in. All points of a machine are by one method.
inline constexpr std::string_view kInternal = "internal";
inline constexpr std::string_view kOverlay = "overlay";
inline constexpr std::string_view kBtrfs = "btrfs";

struct PointDisk {
  std::string name;
  // The images as they were then, the first by its own name: that, or the point's file beside it,
  // or the one in a snapshot, holds the state.
  std::vector<image::Layer> chain;
  std::uint64_t virtual_size = 0;
};

// A read-only snapshot of a subvolume; absolute paths.
struct PointSnapshot {
  std::string source;
  std::string path;
};

// The machine's memory of the same instant, in the image of one of the disks.
struct PointMemory {
  std::string disk;  // its name
  std::uint64_t bytes = 0;
  // How long the machine stood still for it, at the most.
  std::int64_t standstill_ms = 0;
  // What may load it: QEMU's version, and the type of the machine as QEMU had resolved it.
  std::string qemu;
  std::string machine;
};

// What is half done is finished or undone by whoever comes next.
enum class State {
  kTaking,    // may be on some of the disks
  kKept,      // on all of them
  kRemoving,  // may still be on some of them
};

struct Point {
  std::string id;     // as a backup's
  std::string label;  // one printable line; empty: none
  std::string method;
  std::string parent;  // the one that the machine stood on; empty: none
  std::string time;
  State state = State::kTaking;
  repository::Level level = repository::Level::kCrash;
  // As in a manifest: "evidence" and "window".
  base::Json evidence = base::Json::object();
  std::vector<PointDisk> disks;
  // Of one by the method `btrfs`; of any other none.
  std::vector<PointSnapshot> snapshots = {};
  // Nothing: the disks alone.
  std::optional<PointMemory> memory = {};
};

// All disks back to a point: begun, and not known to be done.
struct Revert {
  enum class Phase {
    kSaving,    // what was there is being kept as `saved`; the disks are untouched
    kApplying,  // disks may be changed
    kWaking,    // all is done but that its guest may be frozen; with memory alone
  };
  std::string to;
  std::string saved;  // empty: nothing is to be saved
  Phase phase = Phase::kSaving;
  // With the memory, in the machine's QEMU, and which process that was; the latter empty: unknown.
  bool resume = false;
  std::string process = {};
};

struct Points {
  // On which the machine stands now: the one taken last, or reverted to since; empty: on none.
  std::string current;
  std::optional<Revert> revert;
  // In the order in which they were taken: a parent stands before those that stand on it.
  std::vector<Point> points;
  // Beside these there may be more names of their files than are needed (image/point_file.h).
  std::set<std::string> images = {};

  [[nodiscard]] Point* find(std::string_view id);
  [[nodiscard]] const Point* find(std::string_view id) const;
  // Is something half done?
  [[nodiscard]] bool unfinished() const;
};

inline constexpr std::size_t kMostPoints = 1000;
inline constexpr std::size_t kLongestLabel = 200;

// Of the internal snapshots that make a point.
inline constexpr std::string_view kNamePrefix = "holdfast-";
[[nodiscard]] std::string snapshot_name(std::string_view id);

[[nodiscard]] std::string_view name_of(State state);

[[nodiscard]] base::Json to_json(const Point& point);
[[nodiscard]] base::Json to_json(const Points& points);
[[nodiscard]] base::Result<Points> parse_points(std::string_view text);

}  // namespace holdfast::host::point
