// SPDX-License-Identifier: MIT
//
// A Hold is a lock that a plugin has taken and confirmed: as long as it lives and check() agrees,
// what it protects has not changed. It is the lock itself, not a note about one.
//
// Ownership: made by Plugin::hold(), owned by the coordinator; its destructor releases as a last
// resort and swallows errors. A Hold may borrow its plugin's sessions; the plugin outlives it.
//
// Threads: every call on the resource's worker thread, watch_fd() included. None may log.
//
// Errors: what a call reports is what an administrator will read on the host; name the thing.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace holdfast::api {

// Where the data stood, as ordered pairs: {"binlog-file", "mysql-bin.000003"}, {"lsn",
// "0/16B3748"}. Keys are lower case with dashes, and documented in the plugin's manual page.
using Position = std::vector<std::pair<std::string, std::string>>;

// Whose lock it is. Empty fields are unknown or have no meaning for this engine.
struct Identity {
  std::string engine;       // "MariaDB", "MySQL", "PostgreSQL", "exec"
  std::string version;      // as the server says it
  std::string server_uuid;  // what changes when another server, or a restarted one, answers
  std::string session_id;   // connection id or backend pid
};

// The window that a hold belongs to.
struct Window {
  std::string id;  // a UUID
  // The daemon's own bound: it has let go of everything when this has passed since the window
  // began. For a lock that outlives its session, and so needs a bound on the server as well.
  base::Millis max_hold{};
};

// What only the end of a hold brings to light.
struct ReleaseReport {
  // Added to the position that check() has returned.
  Position position;
  // Small text files that belong to the snapshot and can't be in it: name and content. They become
  // part of the freeze record, line by line, so that they outlive the guest: a few kilobytes in
  // all, every line ended by '\n', and nothing secret.
  std::vector<std::pair<std::string, std::string>> files;
};

class Hold {
 public:
  Hold() = default;
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;
  virtual ~Hold() = default;

  [[nodiscard]] virtual const Identity& identity() const = 0;

  // The position read under the lock when it was taken. Doesn't block.
  [[nodiscard]] virtual const Position& position() const = 0;

  // How it is held, as ordered pairs like those of a position: {"lock", "backup-stage"}. Goes into
  // the record as it stands; documented in the plugin's manual page. Doesn't block.
  [[nodiscard]] virtual Position details() const { return {}; }

  // What an administrator should know about this one hold: works, but not as well as it could. One
  // line each; they go into the record. Doesn't block.
  [[nodiscard]] virtual std::vector<std::string> warnings() const { return {}; }

  // A descriptor that shows POLLIN, POLLHUP or POLLRDHUP when the hold is lost, for poll(2) alone;
  // borrowed, valid while the Hold lives. -1 where a loss cannot be seen. While the filesystems are
  // frozen this is all that anybody looks at: SQL can hang on a frozen log file.
  [[nodiscard]] virtual int watch_fd() const = 0;

  // Still ours, and unmoved? Called after the thaw, before release(): the same session of the same
  // server, and the position, read again, as the engine's rules want it. Success returns that
  // second position. kHoldLost says what differs. Read-only, and writes nothing to disk. May be
  // repeated.
  [[nodiscard]] virtual base::Result<Position> check(base::Deadline deadline) = 0;

  // A second freeze takes this hold over for a window of its own; check() has just confirmed it.
  // Whatever bounds the hold on the server has to last for another `window.max_hold` from now. What
  // has no such bound has nothing to do. On failure the freeze is refused, and release() follows.
  [[nodiscard]] virtual base::Result<void> extend(const Window& /*window*/,
                                                  base::Deadline /*deadline*/) {
    return {};
  }

  // Lets go. On success nothing of the hold is left on the server. On failure neither, as far as
  // the plugin can bring that about: it closes the session then. Later calls do nothing and
  // succeed.
  [[nodiscard]] virtual base::Result<void> release(base::Deadline deadline) = 0;

  // release() for a window that ends because the service is told to end: its thaw is still to come,
  // so the disks may be frozen. What waits for one of them cannot be called back, and would keep
  // the whole process from its end; so nothing is written, and what only a disk could keep is given
  // up. Either of the two ends the hold.
  [[nodiscard]] virtual base::Result<void> abandon(base::Deadline deadline) {
    return release(deadline);
  }

  // What release() has found out, be it that it failed in the end. Empty before. Doesn't block.
  [[nodiscard]] virtual ReleaseReport release_report() const { return {}; }
};

}  // namespace holdfast::api
