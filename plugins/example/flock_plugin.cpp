// SPDX-License-Identifier: MIT
//
// A plugin that holds a lock file: an exclusive flock(2) from before the filesystems freeze until
// after they thaw. Whoever writes under that lock (`flock /run/lock/app.lock job` in a crontab, a
// program that calls flock(2) itself) waits for the thaw, and is not caught half-way by the
// snapshot.
//
// It is also the worked example of holdfast-plugin(7), which explains it from top to bottom.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "api/plugin.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "base/waker.h"

namespace {

using holdfast::base::Deadline;
using holdfast::base::Error;
using holdfast::base::ErrorCode;
using holdfast::base::Millis;
using holdfast::base::Result;
using holdfast::base::UniqueFd;
namespace api = holdfast::api;
namespace base = holdfast::base;

// flock(2) can wait, but not for a limited time: it is asked again and again instead.
constexpr Millis kInterval{20};

Result<UniqueFd> open_file(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.valid()) return fd;
  return base::errno_error(errno, "unable to open '" + base::printable(path) + "'");
}

// Which file this is, whatever it is called.
std::string inode_of(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 ? std::to_string(status.st_ino) : std::string();
}

class FlockHold final : public api::Hold {
 public:
  FlockHold(std::string resource, std::string path, int fd)
      : resource_(std::move(resource)),
        path_(std::move(path)),
        fd_(fd),
        position_{{"inode", inode_of(fd)}} {}
  ~FlockHold() override { (void)release(Deadline::in(Millis(0))); }

  [[nodiscard]] const api::Identity& identity() const override { return identity_; }
  [[nodiscard]] const api::Position& position() const override { return position_; }
  // Nobody can take a flock away from us, so there is nothing to watch.
  [[nodiscard]] int watch_fd() const override { return -1; }

  // Shown, not assumed: somebody who comes now finds the same file, and finds it locked.
  [[nodiscard]] Result<api::Position> check(Deadline /*deadline*/) override {
    const auto lost = [this](const std::string& how) {
      return Error(ErrorCode::kHoldLost, "the lock of '" + resource_ + "' was lost: " + how);
    };
    if (released_) return lost("it is released already");
    auto other = open_file(path_);
    if (!other) return lost(other.error().text());
    if (inode_of(other->get()) != inode_of(fd_)) return lost("another file stands in its place");
    if (::flock(other->get(), LOCK_SH | LOCK_NB) == 0) return lost("somebody else can lock it");
    return position_;
  }

  [[nodiscard]] Result<void> release(Deadline /*deadline*/) override {
    if (std::exchange(released_, true) || ::flock(fd_, LOCK_UN) == 0) return {};
    return base::errno_error(errno, "unable to unlock '" + resource_ + "'");
  }

 private:
  std::string resource_;
  std::string path_;
  int fd_;  // the plugin's, which outlives this
  bool released_ = false;
  api::Identity identity_{"flock", {}, {}, {}};
  api::Position position_;
};

class FlockPlugin final : public api::Plugin {
 public:
  using Plugin::Plugin;

  [[nodiscard]] base::OptionTable option_table() const override {
    return {{.name = "file",
             .type = base::OptionType::kPath,
             .help = "the lock file; it must exist",
             .required = true}};
  }

  [[nodiscard]] Result<api::ProbeReport> probe(Deadline /*deadline*/,
                                               std::stop_token /*stop*/) override {
    if (auto opened = open(); !opened) return std::move(opened).error();
    return api::ProbeReport{{"flock", {}, {}, {}}, {}};
  }

  [[nodiscard]] int watch_fd() const override { return -1; }

  [[nodiscard]] Result<void> prepare(const api::Window& /*window*/, Deadline /*deadline*/,
                                     std::stop_token /*stop*/) override {
    // What was interrupted was an earlier window. The file may be another one since the last probe.
    waker_.reset();
    return open();
  }

  [[nodiscard]] Result<std::unique_ptr<api::Hold>> hold(const api::Window& /*window*/,
                                                        Deadline deadline,
                                                        std::stop_token stop) override {
    while (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) {
        return base::errno_error(errno, "unable to lock '" + context().resource + "'");
      }
      // A pause that the deadline, the stop token and interrupt() all end.
      auto pause = waker_.wait(-1, 0, Deadline::in(kInterval).earlier_of(deadline), stop);
      if (deadline.passed() || pause.error().code() != ErrorCode::kTimedOut) {
        return base::wrap(std::move(pause).error(), "unable to lock '" + context().resource + "'")
            .with_hint("fuser -v " + options().text("file") + " shows who has it");
      }
    }
    return std::make_unique<FlockHold>(context().resource, options().text("file"), fd_.get());
  }

  // prepare() has locked nothing.
  void rollback(Deadline /*deadline*/) override {}
  void interrupt() override { waker_.interrupt(); }

 private:
  // The table says all there is to say about the settings.
  [[nodiscard]] Result<void> do_finish_config() override { return {}; }

  [[nodiscard]] Result<void> open() {
    auto fd = open_file(options().text("file"));
    if (!fd) return base::wrap(std::move(fd).error(), "unable to use '" + context().resource + "'");
    fd_ = std::move(*fd);
    return {};
  }

  base::Waker waker_;
  UniqueFd fd_;
};

}  // namespace

HOLDFAST_PLUGIN_MODULE("flock", FlockPlugin)
