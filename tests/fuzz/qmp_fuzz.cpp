// SPDX-License-Identifier: MIT
//
// QEMU's side of a monitor (wire/line_channel.h, qmp/client.h, qmp/block_graph.h, qmp/jobs.h): the
// input is all that QEMU will ever say. A client's requests carry the ids "holdfast-1" and so on.
#include <set>
#include <string>

#include "base/text.h"
#include "fuzz.h"
#include "qmp/block_graph.h"
#include "qmp/client.h"
#include "qmp/jobs.h"
#include "wired.h"

namespace holdfast::fuzz {

namespace {

namespace qmp = host::qmp;

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Millis;

Deadline deadline() {
  return Deadline::in(Millis(10000));
}

void check_error(const Error& error) {
  require_told(error);
  const ErrorCode code = error.code();
  require(code == ErrorCode::kUnreachable || code == ErrorCode::kProtocol ||
              code == ErrorCode::kTooLarge || code == ErrorCode::kRefused ||
              code == ErrorCode::kUnsupported || code == ErrorCode::kNotFound,
          "the error is one that the headers name");
}

template <typename T>
bool good(const base::Result<T>& result) {
  if (!result) check_error(result.error());
  return result.has_value();
}

void check_graph(const qmp::BlockGraph& graph) {
  std::set<std::string> names;
  for (const qmp::Disk& disk : graph.disks) {
    require(base::is_plain_name(disk.name), "a disk's name may become a file's");
    require(names.insert(disk.name).second, "it is its own");
    require(!disk.chain.empty(), "a disk has an image");
    for (const qmp::ImageLayer& layer : disk.chain) {
      require(layer.path.starts_with('/'), "an image's path is absolute");
      require(layer.path.find('\0') == std::string::npos, "it is all of the path");
      require(layer.format == "raw" || layer.format == "qcow2", "its format is known");
    }
  }
  for (const qmp::SkippedDevice& device : graph.skipped) {
    require(is_one_safe_line(device.name) && is_one_safe_line(device.reason),
            "what is left out is told in a safe line");
  }
}

void talk(qmp::Client& client) {
  require(is_one_safe_line(client.version()), "the version is one safe line");
  if (const auto graph = qmp::read_block_graph(client, deadline()); good(graph)) {
    check_graph(*graph);
  }
  (void)good(qmp::read_nodes(client, deadline()));
  if (const auto jobs = qmp::query_jobs(client, deadline()); good(jobs)) {
    for (const qmp::Job& job : *jobs) {
      require(is_one_safe_line(job.status), "a state is one safe line");
      require(!job.error || is_one_safe_line(*job.error), "an error is one safe line");
    }
  }
  (void)good(qmp::wait_for_job(client, "j", true, deadline(), {}));
  (void)good(client.next_event(deadline(), {}));
}

// The answer of query-block by itself, without a monitor around it.
void check_answer(std::string_view text) {
  const auto json = base::parse_json(text, {std::size_t{1} << 20U, 64});
  if (!json) return;
  for (const char* directory : {"", "/srv/vm"}) {
    const auto graph = qmp::parse_block_graph(*json, directory);
    if (good(graph)) check_graph(*graph);
  }
}

}  // namespace

void check(std::string_view input) {
  static Speaker speaker;
  check_answer(input);
  speaker.say(input);
  auto client = qmp::Client::connect(speaker.path(), deadline(), {});
  if (good(client)) talk(*client);
  for (const Json& request : speaker.requests())
    require(request.contains("id"), "every request has an id");
}

}  // namespace holdfast::fuzz
