// SPDX-License-Identifier: MIT
#include "container/manager.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "container/lxc.h"
#include "container/nspawn.h"

namespace holdfast::host::container {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

constexpr std::size_t kCgroupFileLimit = std::size_t{64} << 10U;
constexpr std::string_view kVersion2 = "0::";

// Where version 2 is mounted: alone, or beside version 1.
std::string cgroup_mount() {
  for (const char* path : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    struct statfs status {};
    if (::statfs(path, &status) == 0 &&
        static_cast<unsigned long>(status.f_type) == CGROUP2_SUPER_MAGIC) {
      return path;
    }
  }
  return {};
}

Result<std::string> cgroup_of(pid_t leader, const std::vector<std::string>& marks) {
  const auto text =
      base::read_file("/proc/" + std::to_string(leader) + "/cgroup", kCgroupFileLimit);
  if (!text) return text.error();
  const std::string mount = cgroup_mount();
  const std::string path = payload_in(*text, marks);
  if (!mount.empty() && !path.empty()) return mount + path;
  return Error(ErrorCode::kUnsupported,
               "its processes have no control group of version 2 of their own: there is no '" +
                   base::printable(marks.front()) + "' around process " + std::to_string(leader));
}

}  // namespace

std::string payload_in(std::string_view text, const std::vector<std::string>& marks) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (!line.starts_with(kVersion2)) continue;
    const std::string path = std::string(line.substr(kVersion2.size())) + "/";
    // It is not in this namespace, and the name not that of anything here.
    if (path.starts_with("/../")) return {};
    std::size_t end = std::string::npos;
    for (const std::string& mark : marks) {
      const std::size_t found = path.find(mark + "/");
      if (found != std::string::npos) end = std::min(end, found + mark.size());
    }
    return end == std::string::npos ? std::string() : path.substr(0, end);
  }
  return {};
}

Result<Found> Manager::find(Deadline deadline, const std::stop_token& stop) {
  const std::string what = "unable to find the container '" + name_.name + "'";
  auto place = do_find(deadline, stop);
  if (!place) return base::wrap(std::move(place).error(), what);
  std::error_code problem;
  const auto root = std::filesystem::canonical(place->root, problem);
  if (problem || root == "/") {
    return Error(ErrorCode::kUnsupported, what + ": its root '" + base::printable(place->root) +
                                              "' is no directory of its own on this host");
  }
  auto cgroup = cgroup_of(place->leader, place->cgroup_marks);
  if (!cgroup) return base::wrap(std::move(cgroup).error(), what);
  return Found{place->leader, root.string(), std::move(*cgroup)};
}

Result<std::string> Manager::ask(std::vector<std::string> argv, Deadline deadline,
                                 const std::stop_token& stop) {
  const std::string program = argv.front();
  base::ProcessOutcome outcome =
      processes_.run({.argv = std::move(argv), .deadline = deadline, .stop = stop});
  if (!outcome.succeeded()) return outcome.as_error(program);
  return std::move(outcome.output);
}

Error Manager::not_running(const std::string& why) const {
  return Error(ErrorCode::kRefused, "it does not run" + (why.empty() ? "" : ": " + why))
      .with_hint("what does not run needs no freeze: its directory can be copied");
}

std::unique_ptr<Manager> make_manager(const config::ContainerName& name,
                                      base::ProcessRunner& processes) {
  if (name.manager == "lxc") return std::make_unique<Lxc>(name, processes);
  return std::make_unique<Nspawn>(name, processes);
}

}  // namespace holdfast::host::container
