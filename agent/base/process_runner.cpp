// SPDX-License-Identifier: MIT
#include "base/process_runner.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "base/scope_guard.h"
#include "base/text.h"
#include "base/uninterrupted.h"
#include "base/unique_fd.h"

namespace holdfast::base {

namespace {

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};

bool open_pipe(Pipe& pipe) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return false;
  pipe.read_end.reset(ends[0]);
  pipe.write_end.reset(ends[1]);
  return true;
}

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  // execve(2) takes char* for historical reasons and does not write through them.
  for (const std::string& text : texts)
    pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// What the program reads: a file in memory, so that nobody waits for a program that does not read.
UniqueFd open_input(const std::optional<std::string>& text) {
  if (!text) return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  UniqueFd file(::memfd_create("input", MFD_CLOEXEC));
  std::size_t written = 0;
  while (file.valid() && written < text->size()) {
    const ssize_t count = uninterrupted(
        [&] { return ::write(file.get(), text->data() + written, text->size() - written); });
    if (count <= 0) return {};
    written += static_cast<std::size_t>(count);
  }
  if (file.valid() && ::lseek(file.get(), 0, SEEK_SET) != 0) return {};
  return file;
}

// A low priority means something among the processes of one session alone: sessions share the
// processors as equals, whatever is in them, unless they say otherwise themselves (sched(7), the
// autogroup feature). So a program that is to stand back gets a session of its own that says it.
std::string session_priority() {
  const int priority = ::getpriority(PRIO_PROCESS, 0);
  return priority > 0 ? std::to_string(priority) : std::string();
}

// In the child, see there. That a kernel knows no such thing, or has just been asked for one, is no
// matter.
// uncovered(7): as below
void enter_session(const std::string& priority) {
  (void)::setsid();
  const int fd = ::open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  (void)!::write(fd, priority.data(), priority.size());
  (void)::close(fd);
}

// Runs in the child of a process with several threads: async-signal-safe calls alone from here to
// the exec. Reports the errno of a failure through `report`, which closes by itself on success.
// uncovered(29): the counters of a child end with its exec, as its memory does
[[noreturn]] void become_program(char* const* argv, char* const* environment, int input, int output,
                                 int error_output, int report, int inherited, pid_t parent,
                                 const std::string& session) {
  if (session.empty()) {
    (void)::setpgid(0, 0);
  } else {
    enter_session(session);
  }
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have died before the request above took effect.
  if (::getppid() != parent) ::_exit(127);
  sigset_t none;
  ::sigemptyset(&none);
  (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int signal : {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD}) {
    (void)::signal(signal, SIG_DFL);
  }
  if (input >= 0 && ::dup2(input, 0) >= 0 && ::dup2(output, 1) >= 0 &&
      ::dup2(error_output, 2) >= 0) {
    // Everything of ours is close-on-exec already; libraries may be less careful.
    (void)::syscall(SYS_close_range, 3U, ~0U, 1U << 2U /* CLOSE_RANGE_CLOEXEC */);
    if (inherited >= 0) (void)::fcntl(inherited, F_SETFD, 0);
    ::execvpe(argv[0], argv, environment);
  }
  const int problem = errno;
  (void)!::write(report, &problem, sizeof problem);
  ::_exit(127);
}

// Reads what is there; false at the end of the stream.
bool drain(int fd, std::string& kept, const ProcessSpec& spec, bool is_output, bool& truncated) {
  std::array<char, 16384> buffer{};
  const ssize_t count = ::read(fd, buffer.data(), buffer.size());
  if (count < 0) return errno == EINTR || errno == EAGAIN;
  if (count == 0) return false;
  const std::string_view piece(buffer.data(), static_cast<std::size_t>(count));
  if (is_output && spec.on_output) spec.on_output(piece);
  const std::size_t room = spec.output_limit - std::min(spec.output_limit, kept.size());
  kept.append(piece.substr(0, room));
  if (piece.size() > room) truncated = true;
  return true;
}

}  // namespace

std::string ProcessOutcome::description() const {
  switch (ending) {
    case Ending::kExited:
      return "exited with status " + std::to_string(status);
    case Ending::kSignalled:
      return "killed by signal " + std::to_string(status);
    case Ending::kTimedOut:
      return "timed out";
    case Ending::kCancelled:
      return "cancelled";
    case Ending::kNotStarted: {
      const char* text = strerrordesc_np(status);
      return std::string("not started: ") + (text != nullptr ? text : "unknown error");
    }
  }
  return "ended in an unknown way";  // uncovered: every value has its case
}

Error ProcessOutcome::as_error(std::string_view program) const {
  std::string message = "unable to run '" + printable(program) + "': " + description();
  const std::string_view said = trimmed(error_output);
  const std::string_view first_line = trimmed(said.substr(0, said.find('\n')));
  if (!first_line.empty()) message += ": " + printable(first_line);
  switch (ending) {
    case Ending::kTimedOut:
      return {ErrorCode::kTimedOut, std::move(message)};
    case Ending::kCancelled:
      return {ErrorCode::kCancelled, std::move(message)};
    case Ending::kNotStarted:
      return {status == ENOENT ? ErrorCode::kNotFound : ErrorCode::kProcessFailed,
              std::move(message)};
    case Ending::kExited:
    case Ending::kSignalled:
      break;
  }
  return {ErrorCode::kProcessFailed, std::move(message)};
}

ProcessOutcome SystemProcessRunner::run(const ProcessSpec& spec) {
  ProcessOutcome outcome;
  if (spec.argv.empty()) {
    outcome.status = EINVAL;
    return outcome;
  }
  Pipe output;
  Pipe error_output;
  Pipe report;
  const UniqueFd stopped(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const UniqueFd input = open_input(spec.input);
  if (!stopped.valid() || !input.valid() || !open_pipe(output) || !open_pipe(error_output) ||
      !open_pipe(report)) {
    // uncovered(2): needs a process without a descriptor left
    outcome.status = errno;
    return outcome;
  }
  const std::vector<char*> argv = pointers_to(spec.argv);
  const std::vector<char*> environment =
      spec.environment ? pointers_to(*spec.environment) : std::vector<char*>{};
  char* const* const environment_block = spec.environment ? environment.data() : ::environ;

  const std::string session = session_priority();
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) {
    // uncovered(2): needs a machine without a process left
    outcome.status = errno;
    return outcome;
  }
  if (child == 0) {
    // uncovered(3): as above, in the child
    become_program(argv.data(), environment_block, input.get(), output.write_end.get(),
                   error_output.write_end.get(), report.write_end.get(), spec.inherited, parent,
                   session);
  }
  // Both sides do it, so that the group exists whoever runs first. Who leads a group can begin no
  // session, which is a group as well, and exists as soon as the program runs.
  if (session.empty()) (void)::setpgid(child, child);
  output.write_end.reset();
  error_output.write_end.reset();
  report.write_end.reset();

  int problem = 0;
  if (uninterrupted([&] { return ::read(report.read_end.get(), &problem, sizeof problem); }) ==
      sizeof problem) {
    (void)uninterrupted([&] { return ::waitpid(child, nullptr, 0); });
    outcome.status = problem;
    return outcome;
  }

  if (spec.on_start) spec.on_start(child);
  const UniqueFd child_fd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  const std::stop_callback on_stop(spec.stop, [&] {
    const std::uint64_t one = 1;
    (void)!::write(stopped.get(), &one, sizeof one);
  });
  bool output_open = true;
  bool error_open = true;
  bool child_alive = true;
  bool killed = false;
  while (output_open || error_open || child_alive) {
    std::array<pollfd, 4> watched{{{output_open ? output.read_end.get() : -1, POLLIN, 0},
                                   {error_open ? error_output.read_end.get() : -1, POLLIN, 0},
                                   {child_alive ? child_fd.get() : -1, POLLIN, 0},
                                   {killed ? -1 : stopped.get(), POLLIN, 0}}};
    const int ready =
        ::poll(watched.data(), watched.size(), killed ? -1 : spec.deadline.poll_timeout());
    if (ready < 0 && errno != EINTR) break;
    const bool stop_asked = (watched[3].revents & POLLIN) != 0;
    if (!killed && (stop_asked || spec.deadline.passed())) {
      outcome.ending =
          stop_asked ? ProcessOutcome::Ending::kCancelled : ProcessOutcome::Ending::kTimedOut;
      (void)::kill(-child, SIGKILL);
      killed = true;
      // What left the group on purpose may keep the pipes open for ever: no longer our concern.
      output_open = error_open = false;
      continue;
    }
    if (ready <= 0) continue;
    if (watched[0].revents != 0) {
      output_open = drain(output.read_end.get(), outcome.output, spec, true, outcome.truncated);
    }
    if (watched[1].revents != 0) {
      error_open =
          drain(error_output.read_end.get(), outcome.error_output, spec, false, outcome.truncated);
    }
    if (watched[2].revents != 0) child_alive = false;
  }

  int status = 0;
  (void)uninterrupted([&] { return ::waitpid(child, &status, 0); });
  if (killed) return outcome;
  if (WIFSIGNALED(status)) {
    outcome.ending = ProcessOutcome::Ending::kSignalled;
    outcome.status = WTERMSIG(status);
  } else {
    outcome.ending = ProcessOutcome::Ending::kExited;
    outcome.status = WEXITSTATUS(status);
  }
  return outcome;
}

}  // namespace holdfast::base
