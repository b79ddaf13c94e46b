// SPDX-License-Identifier: MIT
//
// A listening unix socket for a server that is started by hand and ends again: mode 0600, in a
// directory of its own that nobody else can enter, below $XDG_RUNTIME_DIR, /run or /tmp. Both go
// away with the object; what a killed process has left of them, with the next one made.
//
// Threads: any. Ownership: owns the socket and the directory. Errors: kUsage for a path that is too
// long for a socket, those of the system calls.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast::host::command {

class PrivateSocket {
 public:
  [[nodiscard]] static base::Result<PrivateSocket> listen();
  PrivateSocket(PrivateSocket&& other) noexcept;
  PrivateSocket& operator=(PrivateSocket&&) = delete;
  PrivateSocket(const PrivateSocket&) = delete;
  PrivateSocket& operator=(const PrivateSocket&) = delete;
  ~PrivateSocket();

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] int fd() const { return socket_.get(); }
  // Whoever waits to be served is turned away, unless another process listens on it as well.
  void close() { socket_.reset(); }

 private:
  PrivateSocket(std::string directory, base::UniqueFd lock);

  std::string directory_;
  std::string path_;
  base::UniqueFd lock_;  // of the directory: somebody is alive here
  base::UniqueFd socket_;
};

}  // namespace holdfast::host::command
