// SPDX-License-Identifier: MIT
//
// What went wrong, for callers that branch on it and for the person who has to act on it.
//
// An Error is a value: code, message, optional hint, optional cause, and the errors that the
// clean-up after it met. Callers branch on the code, never on the text. Messages are lower case,
// without a final period: "unable to …", then the thing in single quotes; the cause follows after a
// colon. Texts from outside (a server, a guest, a file) go through printable() before they get
// here.
//
// Threads: a plain value, no shared state.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::base {

// The one table of error codes: constant, number in the control protocol, name, exit status of
// the guest's programs (shim and holdfastctl), exit status of the host driver. Numbers and names
// are part of the protocol: they are never used again for something else.
#define HOLDFAST_ERROR_TABLE(X)                          \
  X(kInternal, 1, "internal", 1, 1)                      \
  X(kUsage, 2, "usage", 64, 2)                           \
  X(kDaemonUnreachable, 20, "daemon-unreachable", 20, 1) \
  X(kHoldFailed, 21, "hold-failed", 21, 1)               \
  X(kFreezeTimeout, 22, "freeze-timeout", 22, 1)         \
  X(kMisconfigured, 23, "misconfigured", 23, 1)          \
  X(kHoldLost, 30, "hold-lost", 30, 1)                   \
  X(kWindowExpired, 31, "window-expired", 31, 1)         \
  X(kReleaseFailed, 32, "release-failed", 32, 1)         \
  X(kDaemonRestarted, 33, "daemon-restarted", 33, 1)     \
  X(kConfiguration, 40, "configuration", 23, 2)          \
  X(kNotFound, 41, "not-found", 1, 1)                    \
  X(kPermission, 42, "permission", 1, 1)                 \
  X(kExists, 43, "exists", 1, 1)                         \
  X(kNoSpace, 44, "no-space", 1, 1)                      \
  X(kIo, 45, "io", 1, 1)                                 \
  X(kTimedOut, 46, "timed-out", 1, 1)                    \
  X(kCancelled, 47, "cancelled", 1, 1)                   \
  X(kUnreachable, 48, "unreachable", 1, 1)               \
  X(kProtocol, 49, "protocol", 1, 1)                     \
  X(kRefused, 50, "refused", 1, 1)                       \
  X(kUnsupported, 51, "unsupported", 1, 1)               \
  X(kBusy, 52, "busy", 1, 1)                             \
  X(kTooLarge, 53, "too-large", 1, 1)                    \
  X(kCorrupt, 54, "corrupt", 1, 1)                       \
  X(kProcessFailed, 55, "process-failed", 1, 1)          \
  X(kLocked, 60, "locked", 1, 4)                         \
  X(kBelowRequired, 61, "below-required", 1, 1)          \
  X(kBelowPreferred, 62, "below-preferred", 1, 3)        \
  X(kGuest, 63, "guest", 1, 1)

enum class ErrorCode : std::uint16_t {
#define HOLDFAST_ENUMERATOR(constant, number, name, guest, host) constant = (number),
  HOLDFAST_ERROR_TABLE(HOLDFAST_ENUMERATOR)
#undef HOLDFAST_ENUMERATOR
};

// The name that stands in the control protocol, in records and manifests: "hold-lost".
[[nodiscard]] std::string_view name_of(ErrorCode code);
[[nodiscard]] std::optional<ErrorCode> error_code_named(std::string_view name);
// The exit status that says this code: of the shim and holdfastctl, and of the host driver.
[[nodiscard]] int guest_exit_status(ErrorCode code);
[[nodiscard]] int host_exit_status(ErrorCode code);

class [[nodiscard]] Error {
 public:
  Error(ErrorCode code, std::string message);

  // Each of these returns the same error, grown: Error(code, text).with_hint(…).caused_by(…).
  [[nodiscard]] Error with_hint(std::string hint) &&;
  [[nodiscard]] Error caused_by(Error cause) &&;
  // Keeps an error of the clean-up beside this one; it never replaces it.
  [[nodiscard]] Error also(Error cleanup_error) &&;

  [[nodiscard]] ErrorCode code() const { return code_; }
  [[nodiscard]] const std::string& message() const { return message_; }
  // The nearest hint along the chain of causes; empty if nobody gave one.
  [[nodiscard]] const std::string& hint() const;
  [[nodiscard]] const Error* cause() const { return cause_.get(); }
  [[nodiscard]] const std::vector<Error>& cleanup_errors() const { return cleanup_errors_; }

  // "message: cause: its cause"; clean-up errors follow in brackets. No hint, no line break.
  [[nodiscard]] std::string text() const;
  // text() and, where there is one, " (hint)": the line that an administrator sees.
  [[nodiscard]] std::string one_line() const;

 private:
  ErrorCode code_;
  std::string message_;
  std::string hint_;
  std::shared_ptr<const Error> cause_;
  std::vector<Error> cleanup_errors_;
};

// `cause` under a message of its own, with the same code: "message: cause".
[[nodiscard]] Error wrap(Error cause, std::string message);

// The error of a failed system call: "message: No such file or directory", with a code that
// fits the errno. errno is taken as an argument, because evaluating the message may change it.
[[nodiscard]] Error errno_error(int error_number, std::string message);

}  // namespace holdfast::base
