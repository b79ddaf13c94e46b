// SPDX-License-Identifier: MIT
//
// The manifest of a run: what was done, at which level, on what evidence.
#include "base/duration.h"
#include "image/qcow2_header.h"
#include "repository/manifest.h"
#include "run/backup_run.h"
#include "run/evidence_json.h"

namespace holdfast::host::run {

using base::Json;

namespace {

// As the image itself says: it is not every method that compresses, whatever the settings are.
std::string compression_of(const std::string& path) {
  const auto header = image::read_header(path);
  const bool zstd = header && header->compression == image::CompressionType::kZstd;
  return std::string(name_of(zstd ? image::Compression::kZstd : image::Compression::kNone));
}

Json disk_json(const CopiedDisk& copied, const std::string& parent, const std::string& directory) {
  const snapshot::DiskPlan& plan = copied.plan;
  const qmp::Disk& disk = copied.disk;
  Json chain = Json::array();
  for (const qmp::ImageLayer& layer : disk.chain)
    chain.push_back({{"path", layer.path}, {"format", layer.format}});
  return {{"name", disk.name},
          {"device", disk.device},
          {"qdev", disk.qdev},
          {"node", disk.node},
          {"pflash", disk.pflash ? Json(*disk.pflash) : Json()},
          {"format", disk.chain.front().format},
          {"source", std::move(chain)},
          {"virtual_size", disk.virtual_size},
          {"file", copied.file},
          {"file_format", "qcow2"},
          {"compression", compression_of(directory + "/" + copied.file)},
          {"backing", plan.increment() ? Json{{"id", parent}} : Json()},
          {"full_because", plan.increment() ? Json() : Json(plan.full_because)},
          {"bytes", copied.bytes},
          {"sha256", copied.sha256}};
}

}  // namespace

Json BackupRun::manifest() const {
  std::uint64_t bytes = 0;
  bool increment = false;
  Json disks = Json::array();
  for (const CopiedDisk& copied : copied_) {
    bytes += copied.bytes;
    increment = increment || copied.plan.increment();
    disks.push_back(disk_json(copied, parent_.id, draft_->directory()));
  }
  Json skipped = Json::array();
  for (const qmp::SkippedDevice& device : machine_.graph().skipped)
    skipped.push_back({{"device", device.name}, {"reason", device.reason}});
  if (memory_) bytes += memory_->bytes;
  const auto now = std::chrono::system_clock::now();
  return {
      {"schema", repository::kManifestSchema},
      {"holdfast", HOLDFAST_VERSION},
      {"id", draft_->id()},
      {"vm", settings_.vm},
      {"group", request_.group.name.empty()
                    ? Json()
                    : Json{{"name", request_.group.name}, {"members", request_.group.members}}},
      {"method", std::string(strategy_->name())},
      {"kind", increment ? "increment" : "full"},
      {"begin", base::format_time(begin_)},
      {"end", base::format_time(now)},
      {"level", std::string(name_of(machine_.verdict().level))},
      {"required", settings_.require},
      {"preferred", settings_.prefer},
      {"evidence", evidence_json(machine_.evidence(), machine_.verdict())},
      {"trim", trim_},
      {"window", window_json(machine_.evidence().window)},
      {"copy", {{"duration_ms", milliseconds(copy_end_ - copy_begin_)}, {"bytes", bytes}}},
      {"disks", std::move(disks)},
      {"memory", memory_json()},
      {"skipped", std::move(skipped)},
      {"gone", gone_},
      {"definition", definition_.about},
      {"qemu", {{"version", machine_.monitor().version()}, {"qemu_img", qemu_img_version_}}},
      {"verified",
       {{"at", base::format_time(now)}, {"images", "qemu-img check"}, {"checksums", "sha256"}}}};
}

}  // namespace holdfast::host::run
