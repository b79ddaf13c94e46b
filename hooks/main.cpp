// SPDX-License-Identifier: MIT
//
// fsfreeze-hook: what qemu-ga runs as `/etc/qemu/fsfreeze-hook freeze|thaw`. Sends the verb to
// holdfastd, waits, and ends with the status that the reply names.
//
// Every microsecond of the thaw is time in which a database's writers stand still, and most of it
// is the start of this program. So: statically linked, base/ alone, no allocation to speak of, no
// iostream, no JSON, no child, no descriptor that outlives it (from 9.1 on qemu-ga reads the
// hook's output to its end). Reads nothing but the reply: it must work with frozen disks.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/control_protocol.h"
#include "base/error.h"
#include "base/text.h"
#include "base/unix_socket.h"

namespace {

using namespace std::chrono_literals;
using holdfast::base::Deadline;
using holdfast::base::Error;
using holdfast::base::ErrorCode;
using holdfast::base::ReplyLine;
using holdfast::base::Result;
using holdfast::base::Verb;

// More than the most that freeze-timeout and thaw-timeout may be set to (2 min), so that the
// daemon, which knows how to let go, always speaks first.
constexpr auto kOuterLimit = 130s;
// A daemon that is there accepts at once; one that is being started has until here.
constexpr auto kConnectLimit = 5s;

// One line, one write: qemu-ga may interleave what it reads with nothing else.
void say(std::string line) {
  line.insert(0, "holdfast: ");
  line += '\n';
  (void)!::write(STDERR_FILENO, line.data(), line.size());
}

std::string beside(const std::string& socket, const char* name) {
  return socket.substr(0, socket.rfind('/') + 1) + name;
}

// The daemon can't be asked. At freeze that is a refusal. At thaw it depends on whether it had a
// window open: then its holds are gone, otherwise there was nothing to let go. One that was asked
// and went away without an answer has taken its verdict with it, whatever the marker says.
int unreachable(Verb verb, const std::string& socket, const Error& problem, bool asked) {
  if (verb == Verb::kFreeze) {
    say("unable to freeze: " + problem.text() + " (is holdfastd running?)");
    return holdfast::base::guest_exit_status(ErrorCode::kDaemonUnreachable);
  }
  struct stat status {};
  const std::string marker = beside(socket, "window.json");
  if (!asked && ::stat(marker.c_str(), &status) != 0 && errno == ENOENT) return 0;
  // Said once: a later thaw has nothing to say, and the next daemon completes the record.
  (void)std::rename(marker.c_str(), beside(socket, "lost.json").c_str());
  say("the holds were lost: holdfastd went away during the window: " + problem.text());
  return holdfast::base::guest_exit_status(ErrorCode::kDaemonRestarted);
}

Result<ReplyLine> ask(Verb verb, const std::string& socket, bool& asked) {
  const Deadline deadline = Deadline::in(kOuterLimit);
  auto fd = holdfast::base::connect_unix(socket, deadline.earlier_of(Deadline::in(kConnectLimit)));
  if (!fd) return std::move(fd).error();
  asked = true;
  if (auto sent =
          holdfast::base::send_all(fd->get(), holdfast::base::format_request(verb), deadline);
      !sent) {
    return std::move(sent).error();
  }
  std::string buffer;
  auto line =
      holdfast::base::receive_line(fd->get(), buffer, holdfast::base::kReplyLineLimit, deadline);
  if (!line) return std::move(line).error();
  return holdfast::base::parse_reply(*line);
}

int usage() {
  say("usage: fsfreeze-hook [--socket=PATH] freeze|thaw");
  return holdfast::base::guest_exit_status(ErrorCode::kUsage);
}

int run(int argc, char** argv) {
  constexpr std::string_view kSocket = "--socket=";
  std::string socket = holdfast::base::kDefaultControlSocket;
  std::string_view word;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with(kSocket)) {
      socket = argument.substr(kSocket.size());
    } else if (word.empty()) {
      word = argument;
    } else {
      return usage();
    }
  }
  if (word != "freeze" && word != "thaw") return usage();
  const Verb verb = word == "freeze" ? Verb::kFreeze : Verb::kThaw;
  bool asked = false;
  auto reply = ask(verb, socket, asked);
  if (!reply) return unreachable(verb, socket, reply.error(), asked);
  if (reply->status != 0) say(reply->text);
  return reply->status;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& problem) {
    say(problem.what());
    return 1;
  }
}
