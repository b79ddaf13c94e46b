// SPDX-License-Identifier: MIT
#include "run/guardian.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <optional>

#include "base/look_until.h"
#include "base/text.h"
#include "base/uninterrupted.h"
#include "qga/fsfreeze.h"
#include "qmp/client.h"
#include "snapshot/checkpoint/release.h"
#include "snapshot/standstill.h"

namespace holdfast::host::run {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Millis;
using base::Result;

namespace {

constexpr Millis kStartTime{15'000};
constexpr Millis kAskAgain{100};
// How long each is tried before it is the other's turn. The agent's is longer than a hook that
// releases what it holds (qga::thaw_for_sure asks anew within it).
constexpr Millis kTurnOfMonitor{3000};
constexpr Millis kTurnOfAgent{20000};

enum class Word : std::uint8_t { kReady, kArm, kDone };

struct Message {
  Word word = Word::kReady;
  std::int64_t milliseconds = 0;
};

bool say(int socket, Message message) {
  // Zeroed: the padding crosses a process boundary.
  return base::uninterrupted([&] {
           return ::send(socket, &message, sizeof message, MSG_NOSIGNAL);
         }) == static_cast<ssize_t>(sizeof message);
}

// The next message; nothing at the end of the stream, or of the time.
std::optional<Message> hear(int socket, const std::optional<Deadline>& deadline) {
  for (;;) {
    pollfd watched{socket, POLLIN, 0};
    const int ready = ::poll(&watched, 1, deadline ? deadline->poll_timeout() : -1);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return std::nullopt;
    Message message;
    const ssize_t count = ::recv(socket, &message, sizeof message, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count != static_cast<ssize_t>(sizeof message)) return std::nullopt;
    return message;
  }
}

void complain(const std::string& text) {
  const std::string line = "holdfast: guardian: " + text + "\n";
  (void)!::write(STDERR_FILENO, line.data(), line.size());
}

// Leaves nothing of the driver but the socket (as descriptor 3) and standard error.
int detach(int socket) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU}) {
    (void)::signal(signal, SIG_IGN);
  }
  (void)::setsid();
  (void)::prctl(PR_SET_NAME, "holdfast-guard");
  (void)::prctl(PR_SET_PDEATHSIG, 0);
  if (socket != 3) (void)::dup3(socket, 3, O_CLOEXEC);
  // The agent's and the monitor's sockets serve one client: a copy held here would lock us out.
  (void)::syscall(SYS_close_range, 4U, ~0U, 0U);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null >= 0) {
    (void)::dup2(null, STDIN_FILENO);
    (void)::dup2(null, STDOUT_FILENO);
  }
  if (::chdir("/") != 0) complain("unable to change to the root directory, continuing");
  return 3;
}

Result<bool> let_go_on_by(const GuardianSpec& spec, qmp::Client& monitor) {
  const auto done =
      snapshot::release_machine(monitor, spec.note, snapshot::Wait::kNo, Deadline::in(kStartTime));
  if (!done) return done.error();
  return !done->empty();
}

// Nothing when it goes on. The monitor serves one client, and may not have noticed yet that the
// last one is gone.
std::optional<Error> let_go_on(const GuardianSpec& spec, Deadline deadline) {
  std::optional<Error> problem;
  (void)base::look_until(deadline, kAskAgain, [&] {
    problem.reset();
    auto monitor = qmp::Client::connect(spec.monitor, deadline, {});
    if (!monitor) {
      problem = std::move(monitor).error();
      return false;
    }
    const bool checkpoint = ::access(spec.note.path().c_str(), F_OK) == 0;
    auto gone_on = checkpoint ? let_go_on_by(spec, *monitor)
                              : snapshot::go_on(*monitor, Deadline::in(kStartTime));
    if (!gone_on) {
      problem = std::move(gone_on).error();
      return false;
    }
    if (*gone_on) complain("the run of '" + spec.vm + "' had stopped the machine; it goes on");
    return true;
  });
  return problem;
}

// The two are tried in turn. A guest that is stopped cannot thaw; but its monitor may be in
// somebody else's hands for long, and the machine may run all the while, frozen. True if all is
// undone.
bool release(const GuardianSpec& spec) {
  const Deadline end = Deadline::in(spec.patience);
  bool stopped = !spec.monitor.empty();
  bool frozen = !spec.agent.empty();
  std::optional<Error> still_stopped;
  std::optional<Error> still_frozen;
  std::optional<qga::Agent> agent;
  while (stopped || frozen) {
    if (stopped) {
      still_stopped = let_go_on(spec, end.earlier_of(Deadline::in(kTurnOfMonitor)));
      stopped = still_stopped.has_value();
    }
    if (frozen) {
      const Deadline turn = end.earlier_of(Deadline::in(kTurnOfAgent));
      auto thawed = qga::thaw_for_sure(agent, spec.agent, turn);
      still_frozen.reset();
      if (!thawed) still_frozen = std::move(thawed).error();
      frozen = still_frozen.has_value();
      if (!frozen)
        complain("the run of '" + spec.vm + "' ended inside the window; the guest is thawed");
      // Before its time: the agent's socket is gone, and QEMU with it.
      if (frozen && !turn.passed()) break;
    }
    if (end.passed()) break;
  }
  if (stopped) complain(still_stopped->one_line());
  if (frozen) complain(still_frozen->one_line());
  return !stopped && !frozen;
}

[[noreturn]] void guard(const GuardianSpec& spec, int inherited, pid_t driver) {
  const int socket = detach(inherited);
  // A pidfd, since the number may be somebody else's by the time it is needed.
  const base::UniqueFd driver_fd(static_cast<int>(::syscall(SYS_pidfd_open, driver, 0U)));
  if (::getppid() != driver || !say(socket, {Word::kReady, 0})) ::_exit(1);

  std::optional<Deadline> bound;
  for (;;) {
    const std::optional<Message> message = hear(socket, bound);
    if (!message) break;
    if (message->word == Word::kDone) ::_exit(0);
    if (message->word == Word::kArm) bound = Deadline::in(Millis(message->milliseconds));
  }
  if (!bound) ::_exit(0);  // the driver ended before any freeze
  if (bound->passed()) {
    complain("the run of '" + spec.vm + "' has overstayed the window, killing it");
    (void)::syscall(SYS_pidfd_send_signal, driver_fd.get(), SIGKILL, nullptr, 0U);
  }
  if (spec.release) {
    const auto released = spec.release(Deadline::in(spec.patience));
    complain(released ? "the run of '" + spec.vm + "' ended inside the window; it goes on"
                      : released.error().one_line());
    ::_exit(released ? 0 : 1);
  }
  ::_exit(release(spec) ? 0 : 1);
}

}  // namespace

Result<Guardian> Guardian::start(const GuardianSpec& spec) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return base::errno_error(errno, "unable to make a socket for the guardian");
  }
  base::UniqueFd ours(ends[0]);
  base::UniqueFd theirs(ends[1]);
  const pid_t driver = ::getpid();
  (void)std::fflush(nullptr);  // what is buffered must not be written twice
  const pid_t process = ::fork();
  if (process < 0) return base::errno_error(errno, "unable to start the guardian");
  if (process == 0) {
    ours.reset();
    guard(spec, theirs.get(), driver);
  }
  theirs.reset();
  Guardian guardian(std::move(ours), process);
  const auto first = hear(guardian.socket_.get(), Deadline::in(kStartTime));
  if (!first || first->word != Word::kReady) {
    (void)::kill(process, SIGKILL);
    guardian.dismiss();
    return Error(ErrorCode::kProcessFailed, "unable to start the guardian: it does not answer");
  }
  return guardian;
}

Guardian::Guardian(Guardian&& other) noexcept
    : socket_(std::move(other.socket_)),
      process_(std::exchange(other.process_, 0)),
      armed_(std::exchange(other.armed_, false)) {}

Guardian::~Guardian() {
  if (!armed_) dismiss();
}

Result<void> Guardian::arm(Millis bound) {
  if (!say(socket_.get(), {Word::kArm, bound.count()})) {
    return base::errno_error(errno, "unable to reach the guardian");
  }
  armed_ = true;
  return {};
}

void Guardian::dismiss() {
  if (process_ == 0) return;
  (void)say(socket_.get(), {Word::kDone, 0});
  socket_.reset();
  armed_ = false;
  (void)base::uninterrupted([&] { return ::waitpid(process_, nullptr, 0); });
  process_ = 0;
}

}  // namespace holdfast::host::run
