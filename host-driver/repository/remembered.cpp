// SPDX-License-Identifier: MIT
#include "repository/remembered.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>

#include "base/file.h"
#include "base/json_codec.h"
#include "base/text.h"
#include "base/unique_fd.h"

namespace holdfast::host::repository {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

// Some hundreds of the longest paths there are.
constexpr std::size_t kLimit = std::size_t{4} << 20U;

std::string file_in(const std::string& state_directory) {
  return state_directory + "/repositories";
}

// However many slashes it ends with.
std::string line_for(std::string path) {
  while (path.size() > 1 && path.back() == '/')
    path.pop_back();
  return base::to_line(path);
}

}  // namespace

bool is_remembered(const std::string& state_directory, const std::string& path) {
  const auto text = base::read_file(file_in(state_directory), kLimit);
  if (!text) return false;
  const std::string wanted = line_for(path);
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    if (line == wanted) return true;
  }
  return false;
}

Result<void> remember(const std::string& state_directory, const std::string& path) {
  if (is_remembered(state_directory, path)) return {};
  const std::string file = file_in(state_directory);
  const std::string failure = "unable to write '" + base::printable(file) + "'";
  const base::UniqueFd fd(
      ::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return base::errno_error(errno, failure);
  // It begins with the end of a line: the one before may have been torn by a power cut.
  const std::string line = "\n" + line_for(path) + "\n";
  const ssize_t written = ::write(fd.get(), line.data(), line.size());
  if (written < 0 || ::fsync(fd.get()) != 0) return base::errno_error(errno, failure);
  if (static_cast<std::size_t>(written) == line.size()) return {};
  return base::errno_error(ENOSPC, failure);
}

Error gone(const std::string& path, Error cause) {
  // It may be there all the same.
  if (cause.code() != ErrorCode::kNotFound && cause.code() != ErrorCode::kRefused) return cause;
  return Error(ErrorCode::kNotFound, "the repository '" + base::printable(path) +
                                         "' is gone: this host has published backups in it")
      .caused_by(std::move(cause))
      .with_hint("is its filesystem mounted? To begin anew there: --new-repository");
}

}  // namespace holdfast::host::repository
