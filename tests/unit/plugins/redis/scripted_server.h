// SPDX-License-Identifier: MIT
//
// A server that speaks RESP from a strict script: these commands, in this order, over whichever
// connections they come; each is answered with these very bytes. Another command, and an entry that
// nobody asked for, are both problems.
//
// Threads: the script runs in one of its own. Call finish() once the client is done.
#pragma once

#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "support/temporary_directory.h"

namespace holdfast::redis {

struct Entry {
  std::string command;  // its words, with blanks between them
  std::string reply;    // nothing: the client is left waiting
  bool hangs_up = false;
  // Answered wherever it comes and is not what the script has next, even if it never comes: what a
  // client asks as often as it has to wait, which a busy machine decides.
  bool aside = false;
};

class ScriptedServer {
 public:
  explicit ScriptedServer(std::vector<Entry> script);
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;
  ~ScriptedServer();

  [[nodiscard]] const std::string& path() const { return path_; }
  // Ends all connections and waits. What went against the script; empty if nothing did.
  [[nodiscard]] std::string finish();

 private:
  struct Client {
    base::UniqueFd fd;
    std::string input;
  };

  void play();
  // False at the end of the connection.
  [[nodiscard]] bool serve(Client& client);
  void answer(Client& client, const std::string& command);

  support::TemporaryDirectory directory_;
  std::string path_ = directory_.file("sock");
  std::vector<Entry> script_;
  std::vector<Entry> asides_;
  std::size_t next_ = 0;
  std::string problem_;
  base::UniqueFd listener_;
  base::UniqueFd ended_;
  std::vector<Client> clients_;
  std::thread thread_;
};

// What a server says in INFO, with these lines in place of its own or after them.
[[nodiscard]] std::string info(const std::string& lines = {});
// As a bulk string.
[[nodiscard]] std::string bulk(const std::string& text);

}  // namespace holdfast::redis
