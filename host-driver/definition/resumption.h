// SPDX-License-Identifier: MIT
//
// The command line of a machine that is to be continued elsewhere: QEMU's words as a backup has
// them, with the restored images in place of those that they name, waiting for the memory.
//
//   -S, -daemonize, -incoming X     go: whoever starts it sees to that
//   an image's path                 the restored one's, wherever it is the value of a key (or of
//                                   one in a JSON object), or a value by itself
//   -incoming defer                 at the end
//
// Threads: plain functions. Errors: kCorrupt for a definition that is none, kUnsupported for one
// that does not do, with the reason.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "definition/command_line.h"

namespace holdfast::host::definition {

struct StoredCommand {
  Words words;
  std::string working_directory;
  std::string machine;  // its type, as QEMU has resolved it
};

// "/usr/bin/qemu-system-x86_64" and the like: what else a definition may name is not started.
[[nodiscard]] bool program_is_qemu(std::string_view word);

// Of definition.json, whose words must be whole: nothing lacking, nothing redacted.
[[nodiscard]] base::Result<StoredCommand> parse_stored_command(std::string_view document);

// `images` are absolute paths, each with the one in its place; each must be named.
[[nodiscard]] base::Result<Words> resumed_words(const StoredCommand& command,
                                                const std::map<std::string, std::string>& images);

// Unix sockets that the words have QEMU listen at: whoever else does is the machine itself, still
// running.
[[nodiscard]] std::vector<std::string> listened_at(const StoredCommand& command);

}  // namespace holdfast::host::definition
