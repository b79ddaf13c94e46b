// SPDX-License-Identifier: MIT
//
// A client of the QEMU Machine Protocol on a unix socket: greeting, capabilities, commands tied to
// their answers by id, events kept in between. It knows no command by name but qmp_capabilities.
//
// QEMU serves one client per monitor socket; a second one connects and gets no greeting. An
// answer that comes after its command timed out is discarded, by its id. (QEMU: docs/interop/
// qmp-spec.txt.)
//
// Threads: one at a time. Ownership: owns the connection. Bounds: 16 MiB per line, 64 levels;
// QEMU is ours, but it runs the guest. Errors: kUnreachable for the socket, kTimedOut, kCancelled,
// kProtocol for what is not QMP, kRefused with QEMU's own words for a command that failed,
// kUnsupported for one that this QEMU does not have.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/json_codec.h"
#include "wire/endpoint.h"
#include "wire/line_channel.h"

namespace holdfast::host::qmp {

struct Event {
  std::string name;
  base::Json data;
};

class Client {
 public:
  // Connected, greeted, in command mode. A program in QEMU's place may greet with an "error".
  [[nodiscard]] static base::Result<Client> connect(const wire::Endpoint& endpoint,
                                                    base::Deadline deadline,
                                                    const std::stop_token& stop);

  // The value of "return". Events that come first are kept for next_event().
  [[nodiscard]] base::Result<base::Json> execute(std::string_view command, base::Json arguments,
                                                 base::Deadline deadline,
                                                 const std::stop_token& stop = {});

  // The same for `add-fd`, which takes the descriptor that comes with it. QEMU gets a copy.
  [[nodiscard]] base::Result<base::Json> execute_with_fd(std::string_view command,
                                                         base::Json arguments, int fd,
                                                         base::Deadline deadline);

  // For a command whose time counts: QEMU reads its monitor byte after byte, a turn of its main
  // loop each (QEMU: monitor/monitor.c, monitor_can_read()), measured 3 us. All of it goes but its
  // last word, without which nothing happens; execute_ahead() sends that. Any other command in
  // between takes it back, and so does the end of the connection.
  [[nodiscard]] base::Result<void> send_ahead(std::string_view command, const base::Json& arguments,
                                              base::Deadline deadline);
  [[nodiscard]] bool has_sent_ahead() const { return ahead_.has_value(); }
  // As execute(), of what was sent ahead, which there must be.
  [[nodiscard]] base::Result<base::Json> execute_ahead(base::Deadline deadline);

  // The oldest event that was not taken yet; kTimedOut if none comes.
  [[nodiscard]] base::Result<Event> next_event(base::Deadline deadline,
                                               const std::stop_token& stop);

  // "7.2.22"
  [[nodiscard]] const std::string& version() const { return version_; }
  // QEMU's process, 0 if unknown. It is the one that made the socket.
  [[nodiscard]] pid_t peer() const { return channel_.peer(); }

 private:
  Client(wire::LineChannel channel, std::string name)
      : channel_(std::move(channel)), name_(std::move(name)) {}

  [[nodiscard]] base::Result<void> greet(base::Deadline deadline, const std::stop_token& stop);
  // `fd` below zero: none goes with it.
  [[nodiscard]] base::Result<base::Json> ask(std::string_view command, base::Json arguments, int fd,
                                             base::Deadline deadline, const std::stop_token& stop);
  // The value of "return" of the command with this id.
  [[nodiscard]] base::Result<base::Json> answer_to(std::string_view command, const std::string& id,
                                                   base::Deadline deadline,
                                                   const std::stop_token& stop);
  // What was sent ahead, if anything, becomes a command that does not exist; its answer is passed
  // over as any that comes late.
  [[nodiscard]] base::Result<void> take_back(base::Deadline deadline);
  [[nodiscard]] std::string next_id();
  [[nodiscard]] base::Result<base::Json> receive(base::Deadline deadline,
                                                 const std::stop_token& stop);
  // Keeps the message if it is an event.
  bool keep_event(const base::Json& message);
  [[nodiscard]] base::Error named(std::string_view command, base::Error cause) const;

  struct Ahead {
    std::string command;
    std::string id;
  };

  wire::LineChannel channel_;
  std::string name_;  // of the other side, for errors
  std::string version_;
  std::uint64_t last_id_ = 0;
  std::optional<Ahead> ahead_;
  std::deque<Event> events_;
};

}  // namespace holdfast::host::qmp
