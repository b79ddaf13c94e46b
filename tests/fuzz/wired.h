// SPDX-License-Identifier: MIT
//
// What the targets of the host's two protocols share: a socket at whose other end an input stands
// as all that will ever be said. The client under test has to cope with it in the order in which it
// comes, and afterwards with the end of the stream.
//
// Threads: one, beside the one that speaks, since a client may wait for a word as it connects. An
// input fits a socket's buffer, and so do the requests.
#pragma once

#include <semaphore>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/json_codec.h"
#include "base/unique_fd.h"
#include "support/temporary_directory.h"

namespace holdfast::fuzz {

class Speaker {
 public:
  Speaker();
  Speaker(const Speaker&) = delete;
  Speaker& operator=(const Speaker&) = delete;
  ~Speaker();

  [[nodiscard]] const std::string& path() const { return path_; }
  // Everything that the next client will hear; it must connect.
  void say(std::string_view input);
  // What it has said, each line checked to be a request; forgets the connection.
  [[nodiscard]] std::vector<base::Json> requests();

 private:
  void serve();

  support::TemporaryDirectory directory_;
  std::string path_;
  base::UniqueFd server_;
  base::UniqueFd client_;
  std::string said_;
  bool ending_ = false;
  std::binary_semaphore begin_{0};
  std::binary_semaphore done_{0};
  std::thread speaking_;
};

// An error may be shown as it is, and no client's error is the program's own fault.
void require_told(const base::Error& error);

}  // namespace holdfast::fuzz
