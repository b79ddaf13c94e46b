// SPDX-License-Identifier: MIT
//
// What the plugin and holdfast-execd say to each other over a stream socket. One connection serves
// one resource, and is its session: when it ends, what was frozen over it is thawed.
//
//   request:  holdfast-exec/1 VERB RESOURCE WINDOW MILLISECONDS\n
//   reply:    holdfast-exec/1 NAME TEXT\n
//
// VERB is one of probe, prepare, freeze, check, thaw. RESOURCE is the plain name of a file in
// resources.d, without ".conf": it is all that the client says about what is to run. WINDOW is a
// UUID, or "-" outside windows. MILLISECONDS is what is left until the client's deadline. NAME is
// an error code's name or "ok"; TEXT is one printable line: the error, or after "ok" a warning, or
// nothing. "ok" for prepare says kNothingToRun where no program would be told `freeze` now.
//
// Threads: plain functions.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace holdfast::exec {

inline constexpr std::size_t kExecRequestLimit = 256;
inline constexpr std::size_t kExecReplyLimit = 2048;
inline constexpr base::Millis kMostTime{3'600'000};
inline constexpr std::string_view kNothingToRun = "nothing to run";

enum class ExecVerb { kProbe, kPrepare, kFreeze, kCheck, kThaw };

[[nodiscard]] std::string_view name_of(ExecVerb verb);

struct ExecRequest {
  ExecVerb verb = ExecVerb::kProbe;
  std::string resource;
  std::string window;  // empty outside windows
  base::Millis time_left{0};
};

// With the '\n'.
[[nodiscard]] std::string format_exec_request(const ExecRequest& request);
// `line` without its '\n'; kProtocol if it is not a request of this version, to the letter.
[[nodiscard]] base::Result<ExecRequest> parse_exec_request(std::string_view line);

// With the '\n': what went wrong, or the warning of a success.
[[nodiscard]] std::string format_exec_reply(const base::Result<std::string>& result);
// The warning of a success, or the error that the other side reports; kProtocol if it is neither.
[[nodiscard]] base::Result<std::string> parse_exec_reply(std::string_view line);

}  // namespace holdfast::exec
