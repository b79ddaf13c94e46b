// SPDX-License-Identifier: MIT
//
// A PostgreSQL server that is not there, played from strict scripts on a unix socket, for versions
// that no machine at hand has. It speaks as much of the protocol (version 3.0) as libpq needs for
// connecting and for statements with parameters. Each connection has a script of its own, in the
// order in which they come. A statement that is not the next of its script, an entry that nobody
// asked for and a connection without a script are all problems.
//
// Threads: one for each script. Call finish() once the client is done.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "support/temporary_directory.h"

namespace holdfast::support {

struct Answered {
  // One row, by column.
  std::vector<std::string> row;
  // SQLSTATE, message and hint of an error instead; `fatal` ends the session.
  std::string state = {};
  std::string message = {};
  std::string hint = {};
  bool fatal = false;
};

struct Statement {
  // What stands in the statement somewhere, and the values of its parameters.
  std::string part;
  std::vector<std::string> parameters;
  // May wait for something; the answer is sent when it returns.
  std::function<Answered()> answer;
};

[[nodiscard]] Statement answers(const std::string& part, std::vector<std::string> row,
                                std::vector<std::string> parameters = {});
[[nodiscard]] Statement refuses(const std::string& part, Answered error);

using Conversation = std::vector<Statement>;

class ScriptedPostgres {
 public:
  // "14.11": what the server says its version is. The sessions' backend pids are 1001, 1002, …
  ScriptedPostgres(std::string version, std::vector<Conversation> scripts);
  ScriptedPostgres(const ScriptedPostgres&) = delete;
  ScriptedPostgres& operator=(const ScriptedPostgres&) = delete;
  ~ScriptedPostgres();

  // What libpq takes as host.
  [[nodiscard]] std::string socket_directory() const { return directory_.path(); }
  // Waits for the ends of all sessions. What went against the scripts; empty if nothing did.
  [[nodiscard]] std::string finish();

 private:
  void play();
  void serve(int client, std::size_t session);
  void note(const std::string& problem);

  TemporaryDirectory directory_;
  std::string version_;
  std::vector<Conversation> scripts_;
  std::mutex mutex_;
  std::string problem_;
  base::UniqueFd server_;
  base::UniqueFd ended_;
  std::vector<std::thread> sessions_;
  std::thread thread_;
};

}  // namespace holdfast::support
