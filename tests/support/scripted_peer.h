// SPDX-License-Identifier: MIT
//
// The other end of a protocol of JSON lines, played from a strict script on a unix socket: QEMU's
// monitor (FakeQmp: with a greeting) or a guest agent (FakeQga). A request that is not the next one
// of the script, and an entry that nobody asked for, are both problems.
//
// Threads: the script runs in one of its own. Call finish() once the client is done.
#pragma once

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/json_codec.h"
#include "base/unique_fd.h"
#include "support/temporary_directory.h"

namespace holdfast::support {

struct Exchange {
  // The command that must come.
  std::string command;
  // What is sent back, as it is; empty: nothing.
  std::function<std::string(const base::Json& request)> answer;
};

// Answers of the ordinary kinds, with a final '\n'.
[[nodiscard]] Exchange returns(const std::string& command, const base::Json& value);
[[nodiscard]] Exchange fails(const std::string& command, const std::string& kind,
                             const std::string& description);
[[nodiscard]] Exchange sends(const std::string& command, const std::string& bytes);
// The agent's answer to guest-sync-delimited, after `before`.
[[nodiscard]] Exchange syncs(const std::string& before = {});

class ScriptedPeer {
 public:
  ScriptedPeer(std::string greeting, std::vector<Exchange> script);
  ScriptedPeer(const ScriptedPeer&) = delete;
  ScriptedPeer& operator=(const ScriptedPeer&) = delete;
  ~ScriptedPeer();

  [[nodiscard]] const std::string& path() const { return path_; }
  // Ends the connection and waits. What went against the script; empty if nothing did.
  [[nodiscard]] std::string finish();

 private:
  void play();
  // One request; false if it was not the next of the script.
  bool serve(int client, const std::string& line);

  TemporaryDirectory directory_;
  std::string path_;
  std::string greeting_;
  std::vector<Exchange> script_;
  std::size_t next_ = 0;
  std::string problem_;
  base::UniqueFd server_;
  base::UniqueFd ended_;
  std::thread thread_;
};

// QEMU 7.2's greeting and the end of the negotiation.
inline const std::string kQmpGreeting =
    R"({"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""},)"
    R"( "capabilities": ["oob"]}})"
    "\n";

}  // namespace holdfast::support
