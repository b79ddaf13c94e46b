// SPDX-License-Identifier: MIT
#include "container/nspawn.h"

#include <charconv>
#include <map>
#include <sstream>

#include "base/text.h"

namespace holdfast::host::container {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

// "NAME=VALUE" lines.
std::map<std::string, std::string> properties_in(const std::string& text) {
  std::map<std::string, std::string> properties;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t sign = line.find('=');
    if (sign != std::string::npos) properties[line.substr(0, sign)] = line.substr(sign + 1);
  }
  return properties;
}

}  // namespace

Result<Manager::Place> Nspawn::do_find(Deadline deadline, const std::stop_token& stop) {
  const auto said = ask({"machinectl", "show", name().name, "--property=Leader",
                         "--property=RootDirectory", "--property=Unit"},
                        deadline, stop);
  if (!said) {
    // Whom machined does not know; anything else is told as it is.
    if (said.error().text().find("No machine") == std::string::npos) return said.error();
    return not_running("machinectl knows no such machine");
  }
  auto properties = properties_in(*said);
  Place place;
  const std::string& leader = properties["Leader"];
  const auto number = std::from_chars(leader.data(), leader.data() + leader.size(), place.leader);
  if (number.ec != std::errc() || place.leader <= 1) return not_running("it has no leader");
  place.root = properties["RootDirectory"];
  const std::string& unit = properties["Unit"];
  if (place.root.empty() || unit.empty() || unit.find('/') != std::string::npos) {
    return Error(ErrorCode::kUnsupported, "it has no directory or no unit of its own")
        .with_hint("one that is started from an image has none");
  }
  place.cgroup_marks = {"/" + unit + "/payload"};
  return place;
}

std::vector<std::string> Nspawn::inside(std::vector<std::string> argv) const {
  std::vector<std::string> words{
      "systemd-run", "--machine=" + name().name, "--pipe", "--wait", "--quiet", "--collect", "--"};
  words.insert(words.end(), argv.begin(), argv.end());
  return words;
}

}  // namespace holdfast::host::container
