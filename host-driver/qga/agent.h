// SPDX-License-Identifier: MIT
//
// A client of the QEMU guest agent on its channel's socket. The guest is not trusted: every answer
// is bounded in length, depth and time, and its texts are made printable before they leave here.
//
// Answers carry no id, so each is tied to its request by order alone: on connecting, and after
// every command that was given up, byte 0xFF and guest-sync-delimited with a random number are
// sent, and all that comes before that number is thrown away (QEMU: qga/qapi-schema.json,
// guest-sync-delimited). Answers to commands of earlier clients do come late.
//
// Threads: one at a time. Ownership: owns the connection; the channel serves one client.
// Errors: kUnreachable for the socket, kTimedOut, kCancelled, kProtocol and kTooLarge for an answer
// that is none, kGuest with the guest's words for a command that failed there, kUnsupported for
// one that the agent does not have or will not run now.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/json_codec.h"
#include "wire/endpoint.h"
#include "wire/line_channel.h"

namespace holdfast::host::qga {

// What a program in the agent's place says, as the answer to anything, when it cannot reach the
// guest: an object with this one member, a text. A guest that says so itself is as good as out of
// reach.
inline constexpr std::string_view kChannelProblem = "holdfast-channel-problem";

class Agent {
 public:
  // Connected, not yet synchronised: the first command does that.
  [[nodiscard]] static base::Result<Agent> connect(const wire::Endpoint& endpoint,
                                                   base::Deadline deadline);

  // After this every answer belongs to its request, and whatever was asked before is done: the
  // agent works in order.
  [[nodiscard]] base::Result<void> sync(base::Deadline deadline, const std::stop_token& stop = {});

  // The value of "return". Synchronises first when an earlier command was given up.
  [[nodiscard]] base::Result<base::Json> execute(std::string_view command, base::Json arguments,
                                                 base::Deadline deadline,
                                                 const std::stop_token& stop = {});

  // Sends and does not wait: for a thaw towards an agent whose answers make no sense.
  [[nodiscard]] base::Result<void> send_blindly(std::string_view command, base::Deadline deadline);

  // A whole file of the guest. kNotFound if it does not exist, kTooLarge beyond `limit`.
  [[nodiscard]] base::Result<std::string> read_file(const std::string& path, std::size_t limit,
                                                    base::Deadline deadline,
                                                    const std::stop_token& stop = {});

  // "7.2.22", printable, empty if the agent does not say.
  [[nodiscard]] base::Result<std::string> version(base::Deadline deadline,
                                                  const std::stop_token& stop = {});

 private:
  Agent(wire::LineChannel channel, std::string name)
      : channel_(std::move(channel)), name_(std::move(name)) {}

  [[nodiscard]] base::Error named(std::string_view command, base::Error cause) const;

  wire::LineChannel channel_;
  std::string name_;  // of the other side, for errors
  bool in_step_ = false;
};

}  // namespace holdfast::host::qga
