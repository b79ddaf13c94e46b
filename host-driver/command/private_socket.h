// SPDX-License-Identifier: MIT
//
// A listening unix socket for a server that is started by hand and ends again: mode 0600, in a
// directory of its own that nobody else can enter, below $XDG_RUNTIME_DIR, /run or /tmp. Both go
// away with the object; what a killed process has left of them, with the next one made.
//
// Threads: any. Ownership: owns the socket and the directory. Errors: kUsage for a path that is too
// long for a socket, those of PrivateDirectory.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "wire/private_directory.h"

namespace holdfast::host::command {

class PrivateSocket {
 public:
  [[nodiscard]] static base::Result<PrivateSocket> listen();

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] int fd() const { return socket_.get(); }
  // Whoever waits to be served is turned away, unless another process listens on it as well.
  void close() { socket_.reset(); }

 private:
  PrivateSocket(wire::PrivateDirectory directory, std::string path, base::UniqueFd socket)
      : directory_(std::move(directory)), path_(std::move(path)), socket_(std::move(socket)) {}

  wire::PrivateDirectory directory_;
  std::string path_;
  base::UniqueFd socket_;
};

}  // namespace holdfast::host::command
