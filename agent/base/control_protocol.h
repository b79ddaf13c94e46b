// SPDX-License-Identifier: MIT
//
// What holdfastd, the shim and holdfastctl say to each other over the control socket.
//
//   request:  holdfast/1 VERB\n
//   reply:    holdfast/1 STATUS NAME TEXT\n      then, for verbs that have one, a JSON document
//                                                up to the end of the stream
//
// STATUS is the exit status that the caller ends with (design 3.3), NAME the error code's name or
// "ok", TEXT one printable line for a person, perhaps empty. The first line is all that the shim
// reads: it needs neither JSON nor memory to speak of. One request per connection.
//
// The socket is for root alone: mode 0600 in the daemon's own directory, and the daemon looks at
// SO_PEERCRED besides (root, or the daemon's own user).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace holdfast::base {

inline constexpr const char* kDefaultControlSocket = "/run/holdfast/control.sock";
inline constexpr std::size_t kRequestLimit = 256;
inline constexpr std::size_t kReplyLineLimit = 2048;
inline constexpr std::size_t kReplyDocumentLimit = std::size_t{4} << 20U;

enum class Verb { kFreeze, kThaw, kStatus, kCheck, kReport, kDrill };

[[nodiscard]] std::string_view name_of(Verb verb);
[[nodiscard]] std::optional<Verb> verb_named(std::string_view name);

[[nodiscard]] std::string format_request(Verb verb);
// `line` without its '\n'. kProtocol if it is not a request of this version.
[[nodiscard]] Result<Verb> parse_request(std::string_view line);

struct ReplyLine {
  int status = 0;
  std::string name = "ok";
  std::string text;
};

// With the '\n'. The text is made printable and is cut to fit kReplyLineLimit.
[[nodiscard]] std::string format_reply(const ReplyLine& reply);
// The reply that says this error.
[[nodiscard]] ReplyLine reply_for(const Error& error);
[[nodiscard]] Result<ReplyLine> parse_reply(std::string_view line);

}  // namespace holdfast::base
