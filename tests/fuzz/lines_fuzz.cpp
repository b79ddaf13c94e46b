// SPDX-License-Identifier: MIT
//
// Lines out of a stream that arrives in pieces (base/unix_socket.h). The input's first two bytes
// are the limit and the size of the pieces; the rest is the stream.
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "base/unique_fd.h"
#include "base/unix_socket.h"
#include "fuzz.h"

namespace holdfast::fuzz {

void check(std::string_view input) {
  using base::ErrorCode;
  using namespace std::chrono_literals;
  Bytes bytes(input);
  const std::size_t limit = std::size_t{1} + bytes.byte();
  std::size_t piece = std::size_t{1} + bytes.byte();
  std::string_view stream = bytes.rest().substr(0, 4096);
  piece = std::max(piece, stream.size() / 64);

  // One packet is one piece, however fast the reader is.
  std::array<int, 2> pair{};
  require(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair.data()) == 0,
          "a socket pair can be had");
  const base::UniqueFd reader(pair[0]);
  base::UniqueFd writer(pair[1]);
  const base::Deadline deadline = base::Deadline::in(10s);
  for (std::size_t at = 0; at < stream.size(); at += piece) {
    require(base::send_all(writer.get(), stream.substr(at, piece), deadline).has_value(),
            "it can be sent");
  }
  writer.reset();

  std::string buffer;
  for (;;) {
    const std::size_t length = std::min(stream.find('\n'), stream.size());
    const auto line = base::receive_line(reader.get(), buffer, limit, deadline);
    if (length > limit) {
      require(!line && line.error().code() == ErrorCode::kTooLarge, "too long is too long");
      return;
    }
    if (length == stream.size()) {
      require(!line && line.error().code() == ErrorCode::kUnreachable, "the end is the end");
      return;
    }
    require(line && *line == stream.substr(0, length), "a line is what was sent");
    stream.remove_prefix(length + 1);
    require(stream.starts_with(buffer), "what came after it is kept");
  }
}

}  // namespace holdfast::fuzz
