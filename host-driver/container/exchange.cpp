// SPDX-License-Identifier: MIT
#include "container/exchange.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <sstream>

#include "base/text.h"

namespace holdfast::host::container {

using base::Error;
using base::ErrorCode;
using base::Result;
using base::UniqueFd;

namespace {

UniqueFd open_below(int root, const std::string& path) {
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
  return UniqueFd(static_cast<int>(
      ::syscall(SYS_openat2, root, path.empty() ? "." : path.c_str(), &how, sizeof how)));
}

Error unable(int problem, const std::string& path) {
  const std::string what = "unable to put '/" + base::printable(path) + "' in its place";
  if (problem == ELOOP || problem == EXDEV) {
    return {ErrorCode::kRefused,
            what + ": the way to it leads over a symbolic link, or to another filesystem"};
  }
  return base::errno_error(problem, what);
}

}  // namespace

Result<std::string> path_in_root(const std::string& path) {
  std::string normal;
  std::istringstream parts(path);
  for (std::string part; std::getline(parts, part, '/');) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      normal.clear();
      break;
    }
    normal += (normal.empty() ? "" : "/") + part;
  }
  if (!normal.empty()) return normal;
  return Error(ErrorCode::kUsage,
               "'" + base::printable(path) + "' is no path of a file in a container");
}

Result<Exchange> Exchange::in(const std::string& root, const std::string& tree) {
  UniqueFd top(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!top.valid() || ::mkdirat(top.get(), tree.c_str(), 0700) != 0) {
    return base::errno_error(errno, "unable to make '" + tree + "' in the container's root");
  }
  UniqueFd made = open_below(top.get(), tree);
  if (!made.valid()) return base::errno_error(errno, "unable to open '" + tree + "'");
  return Exchange(std::move(top), std::move(made));
}

Result<void> Exchange::aim(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  Place place{path, slash == std::string::npos ? path : path.substr(slash + 1),
              open_below(root_.get(), slash == std::string::npos ? "" : path.substr(0, slash))};
  if (!place.above.valid()) return unable(errno, path);
  struct stat status {};
  place.there = ::fstatat(place.above.get(), place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  if (!place.there && errno != ENOENT) return unable(errno, path);
  places_.push_back(std::move(place));
  return {};
}

Result<void> Exchange::exchange(std::size_t number, bool back) {
  const Place& place = places_[number];
  const std::string ours = std::to_string(number);
  int done = 0;
  if (place.there) {
    done = ::renameat2(tree_.get(), ours.c_str(), place.above.get(), place.name.c_str(),
                       RENAME_EXCHANGE);
  } else if (back) {
    done = ::renameat2(place.above.get(), place.name.c_str(), tree_.get(), ours.c_str(),
                       RENAME_NOREPLACE);
  } else {
    done = ::renameat2(tree_.get(), ours.c_str(), place.above.get(), place.name.c_str(),
                       RENAME_NOREPLACE);
  }
  return done == 0 ? Result<void>() : unable(errno, place.path);
}

Result<void> Exchange::exchange_all() {
  for (std::size_t i = 0; i < places_.size(); ++i) {
    auto done = exchange(i, false);
    if (done) continue;
    Error error = std::move(done).error();
    for (std::size_t j = i; j-- > 0;) {
      auto undone = exchange(j, true);
      if (!undone) error = std::move(error).also(std::move(undone).error());
    }
    return error;
  }
  return {};
}

}  // namespace holdfast::host::container
