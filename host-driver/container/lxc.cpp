// SPDX-License-Identifier: MIT
#include "container/lxc.h"

#include <charconv>

#include "base/text.h"

namespace holdfast::host::container {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

// "lxc.rootfs.path = dir:/var/lib/lxc/web/rootfs" -> the path.
std::string directory_in(std::string_view text) {
  const std::size_t sign = text.find(" = ");
  if (sign != std::string_view::npos) text.remove_prefix(sign + 3);
  text = base::trimmed(text);
  // What the storage is; a directory without it is one, too.
  for (const std::string_view kind : {"dir:", "btrfs:"}) {
    if (text.starts_with(kind)) text.remove_prefix(kind.size());
  }
  return std::string(text);
}

}  // namespace

Result<Manager::Place> Lxc::do_find(Deadline deadline, const std::stop_token& stop) {
  const std::string which = "--name=" + name().name;
  const auto leader = ask({"lxc-info", which, "--no-humanize", "--pid"}, deadline, stop);
  if (!leader) return leader.error();
  Place place;
  const std::string number(base::trimmed(*leader));
  const auto read = std::from_chars(number.data(), number.data() + number.size(), place.leader);
  if (read.ec != std::errc() || place.leader <= 1) return not_running("lxc-info knows no process");
  const auto root =
      ask({"lxc-info", which, "--no-humanize", "--config=lxc.rootfs.path"}, deadline, stop);
  if (!root) return root.error();
  place.root = directory_in(*root);
  if (!place.root.starts_with('/')) {
    return Error(ErrorCode::kUnsupported,
                 "its root '" + base::printable(place.root) + "' is no directory");
  }
  // From LXC 4 on, and before.
  place.cgroup_marks = {"/lxc.payload." + name().name, "/lxc.payload/" + name().name,
                        "/lxc/" + name().name};
  return place;
}

std::vector<std::string> Lxc::inside(std::vector<std::string> argv) const {
  std::vector<std::string> words{"lxc-attach", "--name=" + name().name, "--clear-env", "--"};
  words.insert(words.end(), argv.begin(), argv.end());
  return words;
}

}  // namespace holdfast::host::container
