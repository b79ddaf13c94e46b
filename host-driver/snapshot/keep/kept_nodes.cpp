// SPDX-License-Identifier: MIT
#include "snapshot/keep/kept_nodes.h"

#include <algorithm>

#include "base/text.h"
#include "image/point_file.h"

namespace holdfast::host::snapshot {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

constexpr base::Millis kCommandTime{15000};

bool is_of(const std::string& image, const std::string& path) {
  return image::image_of(path) == image || image::is_same_file(path, image);
}

}  // namespace

Deadline KeptNodes::time() const {
  return Deadline::in(kCommandTime);
}

bool KeptNodes::Chain::has(const std::string& path) const {
  return std::any_of(layers.begin(), layers.end(), [&](const qmp::ImageLayer& layer) {
    return layer.path == path || image::is_same_file(layer.path, path);
  });
}

Result<KeptNodes::Chain> KeptNodes::chain_of(const std::string& image) {
  auto graph = qmp::read_block_graph(monitor_, time());
  if (!graph) return std::move(graph).error();
  for (qmp::Disk& disk : graph->disks) {
    if (is_of(image, disk.chain.front().path)) return Chain{disk.node, std::move(disk.chain)};
  }
  return Chain{};
}

Result<std::set<std::string>> KeptNodes::names_in_use() {
  const auto nodes = qmp::read_nodes(monitor_, time());
  if (!nodes) return nodes.error();
  std::set<std::string> names;
  for (const qmp::Node& node : *nodes)
    names.insert(qmp::path_of_node(node, monitor_));
  return names;
}

// Those of an image, not of its file.
Result<std::vector<std::string>> KeptNodes::nodes_of(const std::string& path) {
  const auto nodes = qmp::read_nodes(monitor_, time());
  if (!nodes) return nodes.error();
  std::vector<std::string> names;
  for (const qmp::Node& node : *nodes) {
    if (node.driver != "qcow2" && node.driver != "raw") continue;
    const std::string name = qmp::path_of_node(node, monitor_);
    if (name == path || image::is_same_file(name, path)) names.push_back(node.name);
  }
  if (!names.empty()) return names;
  return Error(ErrorCode::kNotFound, "QEMU does not have '" + base::printable(path) + "' open");
}

// Those that an overlay takes over from what is below it.
Result<Json> KeptNodes::options_of(const std::string& node) {
  const auto nodes = monitor_.execute("query-named-block-nodes", {{"flat", true}}, time());
  if (!nodes) return nodes.error();
  for (const Json& entry : *nodes) {
    if (base::string_member(entry, "node-name").value_or("") != node) continue;
    Json options{{"driver", "qcow2"}, {"discard", "unmap"}};
    if (const auto cache = base::object_member(entry, "cache"); cache) {
      options["cache"] = {{"direct", base::bool_member(**cache, "direct").value_or(false)},
                          {"no-flush", base::bool_member(**cache, "no-flush").value_or(false)}};
    }
    const auto zeroes = base::string_member(entry, "detect_zeroes");
    if (zeroes) options["detect-zeroes"] = *zeroes;
    return options;
  }
  return Error(ErrorCode::kNotFound, "QEMU has no node '" + base::printable(node, 64) + "'");
}

Result<void> KeptNodes::attach(const std::string& node, const std::string& path,
                               const std::string& disk_node) {
  auto options = options_of(disk_node);
  if (!options) return std::move(options).error();
  // A node of its own: one that came with the image would be opened again with it, by a name that
  // may mean another file by then.
  auto file = monitor_.execute("blockdev-add",
                               {{"driver", "file"},
                                {"node-name", node + "f"},
                                {"filename", path},
                                {"cache", options->value("cache", Json::object())}},
                               time());
  if (!file) return std::move(file).error();
  (*options)["node-name"] = node;
  (*options)["file"] = node + "f";
  // blockdev-snapshot itself puts the disk below.
  (*options)["backing"] = nullptr;
  auto added = monitor_.execute("blockdev-add", std::move(*options), time());
  if (!added) return std::move(added).error();
  return {};
}

Result<void> KeptNodes::renew_below(const std::string& node, const std::string& below) {
  if (!node.starts_with(kKeptNodePrefix)) {
    return Error(ErrorCode::kRefused, "the overlay '" + base::printable(node, 64) +
                                          "' is not ours, and what is below it has another name");
  }
  auto options = options_of(node);
  if (!options) return std::move(options).error();
  Json opened{{"driver", "qcow2"},
              {"node-name", node + "p"},
              {"read-only", true},
              {"discard", "unmap"},
              {"cache", options->value("cache", Json::object())},
              {"file", {{"driver", "file"}, {"filename", below}}}};
  auto added = monitor_.execute("blockdev-add", std::move(opened), time());
  if (!added) return std::move(added).error();
  (*options)["node-name"] = node;
  (*options)["file"] = node + "f";
  (*options)["backing"] = node + "p";
  auto reopened =
      monitor_.execute("blockdev-reopen", {{"options", Json::array({*options})}}, time());
  if (!reopened) return std::move(reopened).error();
  return {};
}

Result<void> KeptNodes::release(const std::string& image) {
  const auto chain = chain_of(image);
  if (!chain) return chain.error();
  // Images before their files. What is in use, or goes by itself, QEMU refuses to let go of.
  for (const bool files : {false, true}) {
    const auto nodes = qmp::read_nodes(monitor_, time());
    if (!nodes) return nodes.error();
    for (const qmp::Node& node : *nodes) {
      if (node.name.starts_with('#') || node.name == chain->top) continue;
      if ((node.driver == "file") != files) continue;
      if (!is_of(image, qmp::path_of_node(node, monitor_))) continue;
      (void)monitor_.execute("blockdev-del", {{"node-name", node.name}}, time());
    }
  }
  return {};
}

Result<void> KeptNodes::stream(const Chain& chain, const KeptFile& below) {
  Json arguments{{"device", chain.top}};
  if (below.below.empty()) return jobs_.run("block-stream", std::move(arguments));
  // Of the layer below that file: by its place, since several disks may rest on it.
  const auto place =
      std::find_if(chain.layers.begin(), chain.layers.end(), [&](const qmp::ImageLayer& layer) {
        return layer.path == below.path || image::is_same_file(layer.path, below.path);
      });
  if (place == chain.layers.end() || place + 1 == chain.layers.end()) {
    return Error(ErrorCode::kNotFound,
                 "QEMU does not have what '" + base::printable(below.path) + "' rests on");
  }
  const auto nodes = nodes_of((place + 1)->path);
  if (!nodes) return nodes.error();
  arguments["backing-file"] = below.below;
  Result<void> done(Error(ErrorCode::kNotFound, "nothing to rest on"));
  for (const std::string& node : *nodes) {
    arguments["base-node"] = node;
    done = jobs_.run("block-stream", arguments);
    if (done || done.error().code() != ErrorCode::kRefused) return done;
  }
  return done;
}

Result<void> KeptNodes::commit(const Chain& chain, const std::string& upper,
                               const std::string& lower) {
  const auto tops = nodes_of(upper);
  if (!tops) return tops.error();
  const auto bases = nodes_of(lower);
  if (!bases) return bases.error();
  return jobs_.run("block-commit", {{"device", chain.top},
                                    {"top-node", tops->front()},
                                    {"base-node", bases->front()},
                                    {"backing-file", upper}});
}

Result<void> KeptNodes::commit_top(const Chain& chain, const std::string& lower,
                                   const Standstill& standstill,
                                   const std::function<Result<void>()>& name_it) {
  const auto bases = nodes_of(lower);
  if (!bases) return bases.error();
  auto ready =
      jobs_.run_until_ready("block-commit", {{"device", chain.top}, {"base-node", bases->front()}});
  if (!ready) return ready;
  return standstill([&]() -> Result<void> {
    if (auto completed = jobs_.complete(); !completed) return completed;
    return name_it();
  });
}

}  // namespace holdfast::host::snapshot
