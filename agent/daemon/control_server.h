// SPDX-License-Identifier: MIT
//
// The control socket: one request per connection, answered with one line and perhaps a document
// (base/control_protocol.h). Every client has its own buffer and its own deadline, so that one that
// says nothing, or does not read, holds up nobody.
//
// For root and the daemon's own user alone, by SO_PEERCRED, besides the mode of the socket.
//
// Threads: the loop's.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "base/control_protocol.h"
#include "base/unique_fd.h"
#include "daemon/event_loop.h"
#include "daemon/sequencer.h"

namespace holdfast::daemon {

class ControlServer {
 public:
  struct Callbacks {
    // The document of the verb 'status'.
    std::function<std::string()> status;
    // Hands a verb to the sequencer.
    std::function<std::stop_source(base::Verb, Sequencer::Answer)> submit;
    // The freeze succeeded, and nobody was there to hear it.
    std::function<void()> unheard_freeze;
    // A reply has gone out, or could not.
    std::function<void()> replied;
  };

  // `listener` is a listening stream socket.
  ControlServer(base::UniqueFd listener, EventLoop& loop, Callbacks callbacks);
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;
  ~ControlServer();

 private:
  static constexpr std::size_t kMostClients = 32;

  struct Client {
    base::UniqueFd fd;
    std::string input;
    std::string output;
    std::optional<base::Verb> verb;
    std::stop_source job{std::nostopstate};
    std::optional<EventLoop::Timer> timer;
    bool freeze_succeeded = false;
  };

  void accept_client();
  void on_event(std::uint64_t id, std::uint32_t events);
  void read_request(std::uint64_t id, Client& client);
  void take_request(std::uint64_t id, Client& client, base::Verb verb);
  void reply(std::uint64_t id, const base::ReplyLine& line, std::string document);
  void send_output(std::uint64_t id, Client& client);
  void set_timer(std::uint64_t id, Client& client);
  void drop(std::uint64_t id);

  base::UniqueFd listener_;
  EventLoop& loop_;
  Callbacks callbacks_;
  std::map<std::uint64_t, Client> clients_;
  std::uint64_t clients_made_ = 0;
};

}  // namespace holdfast::daemon
