// SPDX-License-Identifier: MIT
#include "base/error.h"

#include <cerrno>
#include <cstring>
#include <utility>

namespace holdfast::base {

namespace {

struct Row {
  ErrorCode code;
  std::string_view name;
  int guest_exit;
  int host_exit;
};

constexpr Row kTable[] = {
#define HOLDFAST_ROW(constant, number, name, guest, host) {ErrorCode::constant, name, guest, host},
    HOLDFAST_ERROR_TABLE(HOLDFAST_ROW)
#undef HOLDFAST_ROW
};

const Row& row_of(ErrorCode code) {
  for (const Row& row : kTable) {
    if (row.code == code) return row;
  }
  return kTable[0];  // uncovered: every code has its row
}

ErrorCode code_for_errno(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
    case ENXIO:
      return ErrorCode::kNotFound;
    case EACCES:
    case EPERM:
    case EROFS:
      return ErrorCode::kPermission;
    case EEXIST:
    case ENOTEMPTY:
      return ErrorCode::kExists;
    case ENOSPC:
    case EDQUOT:
      return ErrorCode::kNoSpace;
    case ETIMEDOUT:
      return ErrorCode::kTimedOut;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case ENOTCONN:
    case EHOSTUNREACH:
    case ENETUNREACH:
      return ErrorCode::kUnreachable;
    case EBUSY:
    case EAGAIN:
      return ErrorCode::kBusy;
    case EOPNOTSUPP:
    case ENOSYS:
    case ENOTTY:
      return ErrorCode::kUnsupported;
    default:
      return ErrorCode::kIo;
  }
}

}  // namespace

std::string_view name_of(ErrorCode code) {
  return row_of(code).name;
}

std::optional<ErrorCode> error_code_named(std::string_view name) {
  for (const Row& row : kTable) {
    if (row.name == name) return row.code;
  }
  return std::nullopt;
}

int guest_exit_status(ErrorCode code) {
  return row_of(code).guest_exit;
}

int host_exit_status(ErrorCode code) {
  return row_of(code).host_exit;
}

Error::Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

Error Error::with_hint(std::string hint) && {
  hint_ = std::move(hint);
  return std::move(*this);
}

Error Error::caused_by(Error cause) && {
  cause_ = std::make_shared<const Error>(std::move(cause));
  return std::move(*this);
}

Error Error::also(Error cleanup_error) && {
  cleanup_errors_.push_back(std::move(cleanup_error));
  return std::move(*this);
}

const std::string& Error::hint() const {
  static const std::string kNone;
  for (const Error* error = this; error != nullptr; error = error->cause()) {
    if (!error->hint_.empty()) return error->hint_;
  }
  return kNone;
}

std::string Error::text() const {
  std::string text = message_;
  for (const Error* error = cause(); error != nullptr; error = error->cause()) {
    text += ": " + error->message_;
  }
  for (const Error* error = this; error != nullptr; error = error->cause()) {
    for (const Error& cleanup : error->cleanup_errors_)
      text += " [also: " + cleanup.text() + "]";
  }
  return text;
}

std::string Error::one_line() const {
  std::string line = text();
  if (!hint().empty()) line += " (" + hint() + ")";
  return line;
}

Error wrap(Error cause, std::string message) {
  const ErrorCode code = cause.code();
  return Error(code, std::move(message)).caused_by(std::move(cause));
}

Error errno_error(int error_number, std::string message) {
  // strerror's buffer may be shared between threads; strerrordesc_np returns constant text.
  const char* description = strerrordesc_np(error_number);
  message += ": ";
  message += description != nullptr ? description : "error " + std::to_string(error_number);
  return {code_for_errno(error_number), std::move(message)};
}

}  // namespace holdfast::base
