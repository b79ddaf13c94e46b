// SPDX-License-Identifier: MIT
#include "command/private_socket.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/unix_socket.h"

namespace holdfast::host::command {

using base::Result;

namespace {

constexpr const char* kPrefix = "holdfast-export.";

std::string runtime_directory() {
  if (const char* own = ::getenv("XDG_RUNTIME_DIR"); own != nullptr && own[0] == '/') return own;
  return ::access("/run", W_OK) == 0 ? "/run" : "/tmp";
}

}  // namespace

Result<PrivateSocket> PrivateSocket::listen() {
  auto directory = wire::PrivateDirectory::make(runtime_directory(), kPrefix);
  if (!directory) return std::move(directory).error();
  std::string path = directory->path() + "/nbd";
  auto socket = base::listen_unix(path, 0600);
  if (!socket) return std::move(socket).error();
  return PrivateSocket(std::move(*directory), std::move(path), std::move(*socket));
}

}  // namespace holdfast::host::command
