// SPDX-License-Identifier: MIT
#include "point/points.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/text.h"
#include "repository/paths.h"

namespace holdfast::host::point {

using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

constexpr int kSchema = 1;
constexpr base::JsonLimits kLimits{std::size_t{16} << 20U, 48};
constexpr std::size_t kMostDisks = 256;
constexpr std::size_t kDeepestChain = 32;
constexpr std::array<std::string_view, 3> kStates{"taking", "kept", "removing"};
constexpr std::array<std::string_view, 3> kPhases{"saving", "applying", "waking"};

Error wrong(const std::string& what) {
  return {ErrorCode::kProtocol, what};
}

Json text_or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

// A member that is an id, or null.
Result<std::string> id_or_null(const Json& object, std::string_view key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return std::string();
  auto id = base::string_member(object, key);
  if (!id) return id;
  if (!repository::is_backup_id(*id)) return wrong("'" + std::string(key) + "' is no id");
  return id;
}

template <typename Names>
std::optional<std::size_t> place_in(const Names& names, std::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<std::size_t>(found - names.begin());
}

// A member that is one of these.
template <typename Names>
Result<std::size_t> choice_member(const Json& object, std::string_view key, const Names& names) {
  const auto name = base::string_member(object, key);
  if (!name) return name.error();
  const auto place = place_in(names, *name);
  if (!place) return wrong("'" + std::string(key) + "' is none that there is");
  return *place;
}

Result<PointDisk> parse_disk(const Json& entry) {
  auto name = base::string_member(entry, "name");
  const auto chain = base::array_member(entry, "chain");
  const auto size = base::integer_member(entry, "virtual_size");
  if (!name) return std::move(name).error();
  if (!chain) return chain.error();
  if (!size) return size.error();
  if (!base::is_plain_name(*name)) return wrong("a disk's name is none");
  if (*size < 0) return wrong("a size is negative");
  if ((*chain)->empty() || (*chain)->size() > kDeepestChain) return wrong("a chain is none");
  PointDisk disk{std::move(*name), {}, static_cast<std::uint64_t>(*size)};
  for (const Json& layer : **chain) {
    auto path = base::string_member(layer, "path");
    auto format = base::string_member(layer, "format");
    if (!path) return std::move(path).error();
    if (!format) return std::move(format).error();
    if (!path->starts_with('/') || path->find('\0') != std::string::npos) {
      return wrong("an image's path is not absolute");
    }
    if (*format != "qcow2" && *format != "raw") return wrong("an image's format is none");
    disk.chain.push_back({std::move(*path), std::move(*format)});
  }
  return disk;
}

Result<std::vector<PointDisk>> parse_disks(const Json& entry) {
  const auto entries = base::array_member(entry, "disks");
  if (!entries) return entries.error();
  if ((*entries)->empty() || (*entries)->size() > kMostDisks) return wrong("its disks are none");
  std::vector<PointDisk> disks;
  std::set<std::string> names;
  for (const Json& one : **entries) {
    auto disk = parse_disk(one);
    if (!disk) return std::move(disk).error();
    if (!names.insert(disk->name).second) return wrong("a disk stands twice");
    disks.push_back(std::move(*disk));
  }
  return disks;
}

// Of points by other methods, an entry has none.
Result<std::vector<PointSnapshot>> parse_snapshots(const Json& entry) {
  std::vector<PointSnapshot> snapshots;
  if (!entry.contains("snapshots")) return snapshots;
  const auto entries = base::array_member(entry, "snapshots");
  if (!entries) return entries.error();
  if ((*entries)->size() > kMostDisks) return wrong("it has too many snapshots");
  for (const Json& one : **entries) {
    auto source = base::string_member(one, "source");
    auto path = base::string_member(one, "path");
    for (const Result<std::string>* text : {&source, &path}) {
      if (!*text) return text->error();
      if (!(*text)->starts_with('/') || (*text)->find('\0') != std::string::npos) {
        return wrong("a snapshot's path is not absolute");
      }
    }
    snapshots.push_back({std::move(*source), std::move(*path)});
  }
  return snapshots;
}

// Of earlier versions, a point has none.
Result<std::optional<PointMemory>> parse_memory(const Json& entry,
                                                const std::vector<PointDisk>& disks) {
  const auto found = entry.find("memory");
  if (found == entry.end() || found->is_null()) return std::optional<PointMemory>();
  if (!found->is_object()) return wrong("'memory' is no object");
  auto disk = base::string_member(*found, "disk");
  const auto bytes = base::integer_member(*found, "bytes");
  const auto standstill = base::integer_member(*found, "standstill_ms");
  auto qemu = base::string_member(*found, "qemu");
  auto machine = base::string_member(*found, "machine");
  for (const Result<std::string>* text : {&disk, &qemu, &machine}) {
    if (!*text) return text->error();
  }
  if (!bytes) return bytes.error();
  if (!standstill) return standstill.error();
  if (*bytes < 0 || *standstill < 0) return wrong("a size is negative");
  const bool known = std::any_of(disks.begin(), disks.end(),
                                 [&](const PointDisk& one) { return one.name == *disk; });
  if (!known) return wrong("the disk of the memory is none of its disks");
  return std::optional<PointMemory>(
      PointMemory{std::move(*disk), static_cast<std::uint64_t>(*bytes), *standstill,
                  base::printable(*qemu, 40), base::printable(*machine, 100)});
}

Json memory_json(const std::optional<PointMemory>& memory) {
  if (!memory) return {};
  return {{"disk", memory->disk},
          {"bytes", memory->bytes},
          {"standstill_ms", memory->standstill_ms},
          {"qemu", memory->qemu},
          {"machine", memory->machine}};
}

Result<Point> parse_point(const Json& entry) {
  auto id = base::string_member(entry, "id");
  auto label = base::string_member(entry, "label");
  auto method = base::string_member(entry, "method");
  auto time = base::string_member(entry, "time");
  for (const Result<std::string>* text : {&id, &label, &method, &time}) {
    if (!*text) return text->error();
  }
  if (!repository::is_backup_id(*id)) return wrong("a point's id is none");
  if (*method != kInternal && *method != kOverlay && *method != kBtrfs) {
    return Error(ErrorCode::kUnsupported,
                 "it has a point by the method '" + base::printable(*method, 40) + "'");
  }
  auto parent = id_or_null(entry, "parent");
  const auto state = choice_member(entry, "state", kStates);
  const auto level = choice_member(entry, "level", repository::kLevelNames);
  const auto evidence = base::object_member(entry, "evidence");
  auto disks = parse_disks(entry);
  auto snapshots = parse_snapshots(entry);
  if (!parent) return std::move(parent).error();
  if (!state) return state.error();
  if (!level) return level.error();
  if (!evidence) return evidence.error();
  if (!disks) return std::move(disks).error();
  if (!snapshots) return std::move(snapshots).error();
  if (snapshots->empty() == (*method == kBtrfs)) return wrong("its snapshots are none");
  auto memory = parse_memory(entry, *disks);
  if (!memory) return std::move(memory).error();
  return Point{std::move(*id),
               base::printable(*label, kLongestLabel),
               std::move(*method),
               std::move(*parent),
               base::printable(*time, 40),
               static_cast<State>(*state),
               static_cast<repository::Level>(*level),
               **evidence,
               std::move(*disks),
               std::move(*snapshots),
               std::move(*memory)};
}

Result<std::optional<Revert>> parse_revert(const Json& document) {
  const auto found = document.find("revert");
  if (found == document.end() || found->is_null()) return std::optional<Revert>();
  if (!found->is_object()) return wrong("'revert' is no object");
  auto to = id_or_null(*found, "to");
  auto saved = id_or_null(*found, "saved");
  const auto phase = choice_member(*found, "phase", kPhases);
  if (!to) return std::move(to).error();
  if (!saved) return std::move(saved).error();
  if (!phase) return phase.error();
  return std::optional<Revert>(
      Revert{std::move(*to), std::move(*saved), static_cast<Revert::Phase>(*phase),
             base::bool_member(*found, "resume").value_or(false),
             base::printable(base::string_member(*found, "process").value_or(""), 100)});
}

// Of earlier versions, a document has none.
Result<std::set<std::string>> parse_images(const Json& document) {
  std::set<std::string> images;
  if (!document.contains("images")) return images;
  const auto entries = base::array_member(document, "images");
  if (!entries) return entries.error();
  for (const Json& entry : **entries) {
    if (!entry.is_string() || !entry.get<std::string>().starts_with('/')) {
      return wrong("an image's path is not absolute");
    }
    images.insert(entry.get<std::string>());
  }
  return images;
}

// Whatever is referred to is there, and what something stands on before it.
Result<void> check_references(const Points& points) {
  std::set<std::string> known{""};
  for (const Point& point : points.points) {
    if (!known.contains(point.parent)) return wrong("a point stands on one that is missing");
    if (!known.insert(point.id).second) return wrong("a point stands twice");
  }
  if (!known.contains(points.current)) return wrong("the current point is missing");
  if (!points.revert) return {};
  if (points.revert->to.empty() || !known.contains(points.revert->to) ||
      !known.contains(points.revert->saved)) {
    return wrong("a point of the revert is missing");
  }
  return {};
}

}  // namespace

std::string snapshot_name(std::string_view id) {
  return std::string(kNamePrefix) + std::string(id);
}

std::string_view name_of(State state) {
  return kStates.at(static_cast<std::size_t>(state));
}

const Point* Points::find(std::string_view id) const {
  const auto found = std::find_if(points.begin(), points.end(),
                                  [&](const Point& point) { return point.id == id; });
  return found == points.end() ? nullptr : &*found;
}

Point* Points::find(std::string_view id) {
  const auto found = std::find_if(points.begin(), points.end(),
                                  [&](const Point& point) { return point.id == id; });
  return found == points.end() ? nullptr : &*found;
}

bool Points::unfinished() const {
  return revert || std::any_of(points.begin(), points.end(),
                               [](const Point& point) { return point.state != State::kKept; });
}

Json to_json(const Point& point) {
  Json disks = Json::array();
  for (const PointDisk& disk : point.disks) {
    Json chain = Json::array();
    for (const image::Layer& layer : disk.chain)
      chain.push_back({{"path", layer.path}, {"format", layer.format}});
    disks.push_back(
        {{"name", disk.name}, {"virtual_size", disk.virtual_size}, {"chain", std::move(chain)}});
  }
  Json entry = {{"id", point.id},
                {"label", point.label},
                {"method", point.method},
                {"parent", text_or_null(point.parent)},
                {"time", point.time},
                {"state", std::string(name_of(point.state))},
                {"level", std::string(repository::name_of(point.level))},
                {"evidence", point.evidence},
                {"disks", std::move(disks)},
                {"memory", memory_json(point.memory)}};
  for (const PointSnapshot& snapshot : point.snapshots)
    entry["snapshots"].push_back({{"source", snapshot.source}, {"path", snapshot.path}});
  return entry;
}

Json to_json(const Points& points) {
  Json list = Json::array();
  for (const Point& point : points.points)
    list.push_back(to_json(point));
  Json revert;
  if (points.revert) {
    revert = {{"to", points.revert->to},
              {"saved", text_or_null(points.revert->saved)},
              {"phase", std::string(kPhases.at(static_cast<std::size_t>(points.revert->phase)))},
              {"resume", points.revert->resume},
              {"process", points.revert->process}};
  }
  return {{"schema", kSchema},
          {"current", text_or_null(points.current)},
          {"revert", std::move(revert)},
          {"points", std::move(list)},
          {"images", points.images}};
}

Result<Points> parse_points(std::string_view text) {
  const auto document = base::parse_json(text, kLimits);
  if (!document) return document.error();
  const auto schema = base::integer_member(*document, "schema");
  if (!schema) return schema.error();
  if (*schema != kSchema) return Error(ErrorCode::kUnsupported, "its schema is not 1");
  auto current = id_or_null(*document, "current");
  auto revert = parse_revert(*document);
  const auto entries = base::array_member(*document, "points");
  if (!current) return std::move(current).error();
  if (!revert) return std::move(revert).error();
  if (!entries) return entries.error();
  if ((*entries)->size() > kMostPoints) return wrong("it has too many points");
  auto images = parse_images(*document);
  if (!images) return std::move(images).error();
  Points points{std::move(*current), std::move(*revert), {}, std::move(*images)};
  for (const Json& entry : **entries) {
    auto point = parse_point(entry);
    if (!point) return std::move(point).error();
    points.points.push_back(std::move(*point));
  }
  if (auto whole = check_references(points); !whole) return std::move(whole).error();
  return points;
}

}  // namespace holdfast::host::point
