// SPDX-License-Identifier: MIT
#include "libvirt/domain.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/text.h"

namespace holdfast::host::libvirt {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

constexpr std::uint64_t kBlock = 512;  // of st_blocks

std::string text_of(const Json& object, std::string_view key) {
  return base::string_member(object, key).value_or("");
}

Result<DomainDisk> parse_disk(const Json& entry) {
  DomainDisk disk;
  disk.target = text_of(entry, "target");
  disk.alias = text_of(entry, "alias");
  disk.skip = text_of(entry, "skip");
  disk.problem = text_of(entry, "problem");
  disk.cache = text_of(entry, "cache");
  disk.job = text_of(entry, "job");
  disk.job_ready = base::bool_member(entry, "job_ready").value_or(false);
  disk.bus = text_of(entry, "bus");
  disk.ioeventfd = base::bool_member(entry, "ioeventfd").value_or(false);
  const auto size = base::integer_member(entry, "size");
  if (size && *size > 0) disk.size = static_cast<std::uint64_t>(*size);
  const auto chain = base::array_member(entry, "chain");
  if (!chain) return chain.error();
  for (const Json& layer : **chain) {
    auto path = base::string_member(layer, "path");
    auto format = base::string_member(layer, "format");
    if (!path) return std::move(path).error();
    if (!format) return std::move(format).error();
    disk.chain.push_back({std::move(*path), std::move(*format)});
  }
  return disk;
}

std::optional<DomainTpm> parse_tpm(const Json& answer) {
  const auto tpm = base::object_member(answer, "tpm");
  if (!tpm) return std::nullopt;
  return DomainTpm{text_of(**tpm, "backend"), text_of(**tpm, "directory"), text_of(**tpm, "file"),
                   base::bool_member(**tpm, "encrypted").value_or(false)};
}

Result<DomainDisks> parse_disks(const Json& answer) {
  DomainDisks found;
  found.active = base::bool_member(answer, "active").value_or(false);
  const auto disks = base::array_member(answer, "disks");
  const auto paths = base::array_member(answer, "inactive_paths");
  if (!disks) return disks.error();
  if (!paths) return paths.error();
  for (const Json& entry : **disks) {
    auto disk = parse_disk(entry);
    if (!disk) return std::move(disk).error();
    found.disks.push_back(std::move(*disk));
  }
  for (const Json& path : **paths) {
    if (path.is_string()) found.inactive_paths.insert(path.get<std::string>());
  }
  return found;
}

std::uint64_t allocated(const std::vector<qmp::ImageLayer>& chain) {
  std::uint64_t bytes = 0;
  for (const qmp::ImageLayer& layer : chain) {
    struct stat status {};
    if (::stat(layer.path.c_str(), &status) == 0) {
      bytes += static_cast<std::uint64_t>(status.st_blocks) * kBlock;
    }
  }
  return bytes;
}

Error about(const DomainDisk& disk, ErrorCode code, const std::string& reason) {
  return {code, "unable to back up the disk '" + base::printable(disk.target, 64) +
                    "': " + base::printable(reason)};
}

}  // namespace

const DomainDisk* DomainDisks::find(const std::string& target) const {
  const auto found = std::find_if(disks.begin(), disks.end(),
                                  [&](const DomainDisk& disk) { return disk.target == target; });
  return found == disks.end() ? nullptr : &*found;
}

bool DomainDisks::uses(const std::string& path) const {
  if (inactive_paths.contains(path)) return true;
  return std::any_of(disks.begin(), disks.end(), [&](const DomainDisk& disk) {
    return std::any_of(disk.chain.begin(), disk.chain.end(),
                       [&](const qmp::ImageLayer& layer) { return layer.path == path; });
  });
}

Result<DomainDisks> read_disks(qmp::Client& bridge, Deadline deadline) {
  auto answer = bridge.execute("query-disks", Json::object(), deadline);
  if (!answer) return std::move(answer).error();
  return parse_disks(*answer);
}

Result<Domain> read_domain(qmp::Client& bridge, Deadline deadline) {
  const auto answer = bridge.execute("query-domain", Json::object(), deadline);
  if (!answer) return answer.error();
  auto disks = parse_disks(*answer);
  if (!disks) return std::move(disks).error();
  Domain domain;
  domain.disks = std::move(*disks);
  domain.name = text_of(*answer, "name");
  domain.uuid = text_of(*answer, "uuid");
  domain.state = text_of(*answer, "state");
  domain.libvirt = text_of(*answer, "libvirt");
  domain.nvram = text_of(*answer, "nvram");
  domain.nvram_problem = text_of(*answer, "nvram_problem");
  domain.tpm = parse_tpm(*answer);
  domain.agent = text_of(*answer, "agent");
  domain.persistent = base::bool_member(*answer, "persistent").value_or(false);
  domain.live_xml = text_of(*answer, "live_xml");
  domain.inactive_xml = text_of(*answer, "inactive_xml");
  return domain;
}

Result<qmp::BlockGraph> block_graph_of(const DomainDisks& disks) {
  qmp::BlockGraph graph;
  for (const DomainDisk& from : disks.disks) {
    if (!from.skip.empty()) {
      graph.skipped.push_back({base::printable(from.target, 64), from.skip});
      continue;
    }
    if (!from.problem.empty()) return about(from, ErrorCode::kUnsupported, from.problem);
    if (!base::is_plain_name(from.target) || from.chain.empty()) {
      return about(from, ErrorCode::kUnsupported, "its name is none that a file could have");
    }
    if (!from.job.empty()) {
      return about(from, ErrorCode::kBusy, "a job of type '" + from.job + "' is at work on it");
    }
    qmp::Disk disk;
    disk.name = from.target;
    disk.qdev = from.alias;
    disk.chain = from.chain;
    disk.virtual_size = from.size;
    disk.actual_size = allocated(from.chain);
    disk.cache_direct = from.cache == "none" || from.cache == "directsync";
    disk.cache_no_flush = from.cache == "unsafe";
    disk.bus = from.bus;
    disk.ioeventfd = from.ioeventfd;
    graph.disks.push_back(std::move(disk));
  }
  return graph;
}

std::string remote_host(const std::string& uri) {
  const std::size_t scheme = uri.find("://");
  if (scheme == std::string::npos) return {};
  const std::size_t begin = scheme + 3;
  std::string host = uri.substr(begin, uri.find_first_of("/?", begin) - begin);
  const std::size_t user = host.rfind('@');
  if (user != std::string::npos) host.erase(0, user + 1);
  // A command can lead anywhere, whatever stands in the host's place.
  const std::size_t plus = uri.find('+');
  if (plus < scheme && uri.substr(plus + 1, scheme - plus - 1) == "ext") {
    return host.empty() ? "where the URI's command leads" : host;
  }
  return host;
}

}  // namespace holdfast::host::libvirt
