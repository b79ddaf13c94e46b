// SPDX-License-Identifier: MIT
//
// qemu-storage-daemon as a server of images over NBD: one socket, one export per image, all of them
// read-only. It listens on a socket of ours (PrivateSocket), and dies with this process.
//
// Not qemu-nbd: that serves one image per process and socket.
//
// Threads: serve() blocks its thread for as long as it serves. Ownership: borrows all that it is
// given. Errors: kNotFound if it is not installed, kProcessFailed with what it said, kTimedOut if
// it does not get ready.
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/process_runner.h"
#include "command/private_socket.h"
#include "image/source.h"

namespace holdfast::host::command {

struct Exported {
  std::string name;  // a plain name
  std::vector<image::Layer> chain;
};

// The program's argument vector; it listens on the descriptor `socket`.
[[nodiscard]] base::Result<std::vector<std::string>> server_command(
    const std::string& program, const std::vector<Exported>& images, int socket);

// Until it is stopped, which is the good end. `ready` is called once, from another thread, when the
// server has greeted a client.
[[nodiscard]] base::Result<void> serve(base::ProcessRunner& processes, const std::string& program,
                                       const std::vector<Exported>& images, PrivateSocket& socket,
                                       const std::stop_token& stop,
                                       const std::function<void()>& ready);

// "nbd+unix:///vda?socket=/run/…", as nbdcopy, qemu-img and guestfish take it; of all exports
// without a name.
[[nodiscard]] std::string uri_of(const std::string& socket_path, const std::string& name);

}  // namespace holdfast::host::command
