// SPDX-License-Identifier: MIT
//
// holdfast-libvirt agent|control URI DOMAIN SECONDS: between `holdfast` and libvirt, on its
// standard input and output. It is started by `holdfast` alone, and ends with it.
#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/agent_server.h"
#include "bridge/control_server.h"

using namespace holdfast::host::libvirt;

namespace {

constexpr int kLongest = 24 * 3600;

int usage() {
  std::cerr << "usage: holdfast-libvirt agent|control URI DOMAIN SECONDS; 'holdfast' runs it\n";
  return 64;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
  if (words.size() != 4 || (words[0] != "agent" && words[0] != "control")) return usage();
  int seconds = 0;
  const auto [rest, problem] =
      std::from_chars(words[3].data(), words[3].data() + words[3].size(), seconds);
  if (problem != std::errc{} || *rest != '\0' || seconds < 1 || seconds > kLongest) return usage();
  // The driver decides when this ends: a signal to all of its group must not end the thaw.
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE})
    (void)::signal(number, SIG_IGN);
  const bool is_agent = words[0] == "agent";
  Writer writer(STDOUT_FILENO);
  Requests requests(STDIN_FILENO,
                    [&](const std::string& line) { return is_agent && is_thaw(line); });
  if (is_agent) {
    AgentServer(requests, writer, {words[1], words[2]}, seconds).serve();
  } else {
    ControlServer(requests, writer, {words[1], words[2]}).serve();
  }
  // Threads of libvirt's and the reader are still about: no destructors.
  ::_exit(0);
}
