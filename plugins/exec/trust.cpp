// SPDX-License-Identifier: MIT
#include "exec/trust.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <deque>
#include <string_view>
#include <vector>

#include "base/text.h"

namespace holdfast::exec {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

constexpr int kMostLinks = 40;  // as the kernel (path_resolution(7))

void prepend(std::deque<std::string>& pending, std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (!part.empty() && part != ".") parts.emplace_back(part);
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  pending.insert(pending.begin(), parts.begin(), parts.end());
}

std::string joined(const std::vector<std::string>& parts) {
  std::string path;
  for (const std::string& part : parts)
    path += "/" + part;
  return path.empty() ? "/" : path;
}

Error distrust(const std::string& path, const std::string& component, const std::string& problem) {
  std::string message = "unable to run '" + base::printable(path) + "' as root: ";
  if (component != path) message += "'" + base::printable(component) + "' ";
  return Error(ErrorCode::kPermission, message + problem)
      .with_hint("root runs only what nobody else can change: chown root, chmod go-w");
}

Result<void> check_component(const std::string& path, const std::string& component,
                             const struct stat& status, bool is_last) {
  if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
    return distrust(path, component, "belongs to user " + std::to_string(status.st_uid));
  }
  // The mode of a symbolic link means nothing (symlink(7)).
  if (S_ISLNK(status.st_mode)) return {};
  const bool sticky = S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0 && !is_last;
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0 && !sticky) {
    return distrust(path, component, "can be written by others than its owner");
  }
  return {};
}

}  // namespace

Result<void> require_trusted(const std::string& absolute_path) {
  std::deque<std::string> pending;
  prepend(pending, absolute_path);
  // What has been resolved has no symbolic links, so ".." can simply take its last part off.
  std::vector<std::string> resolved;
  int links = 0;
  for (;;) {
    const std::string component = joined(resolved);
    struct stat status {};
    if (::lstat(component.c_str(), &status) != 0) {
      return base::errno_error(errno, "unable to examine '" + base::printable(component) + "'");
    }
    auto checked = check_component(absolute_path, component, status, pending.empty());
    if (!checked) return checked;
    if (S_ISLNK(status.st_mode)) {
      std::array<char, PATH_MAX> target{};
      const ssize_t length = ::readlink(component.c_str(), target.data(), target.size());
      if (length < 0 || ++links > kMostLinks) {
        return base::errno_error(length < 0 ? errno : ELOOP,
                                 "unable to follow '" + base::printable(component) + "'");
      }
      const std::string_view text(target.data(), static_cast<std::size_t>(length));
      resolved.pop_back();
      if (text.starts_with('/')) resolved.clear();
      prepend(pending, text);
    }
    if (pending.empty()) {
      if (!S_ISLNK(status.st_mode)) return {};
      continue;
    }
    if (pending.front() == "..") {
      if (!resolved.empty()) resolved.pop_back();
    } else {
      resolved.push_back(pending.front());
    }
    pending.pop_front();
  }
}

}  // namespace holdfast::exec
