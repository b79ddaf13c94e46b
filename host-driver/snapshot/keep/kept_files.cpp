// SPDX-License-Identifier: MIT
#include "snapshot/keep/kept_files.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/text.h"
#include "image/point_file.h"
#include "image/qcow2_header.h"
#include "repository/paths.h"

namespace holdfast::host::snapshot {

using base::Result;
using image::is_same_file;
using image::point_file;

namespace {

constexpr std::uint64_t kBlock = 512;
constexpr std::string_view kNewMark = ".new";

struct Closed {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

bool is_there(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

// Whatever begins with `prefix` in the directory, by its path.
Result<std::vector<std::string>> names_beside(const std::string& prefix) {
  const std::string directory = base::directory_of(prefix);
  const std::unique_ptr<DIR, Closed> open(::opendir(directory.c_str()));
  if (open == nullptr) {
    if (errno == ENOENT) return std::vector<std::string>();
    return base::errno_error(errno, "unable to list '" + base::printable(directory) + "'");
  }
  const std::string wanted = prefix.substr(prefix.rfind('/') + 1);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(open.get())) {
    const std::string_view name = static_cast<const char*>(entry->d_name);
    if (name.starts_with(wanted)) names.push_back(prefix + std::string(name.substr(wanted.size())));
  }
  return names;
}

}  // namespace

Result<void> drop_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0) {
    if (errno == ENOENT) return {};
    return base::errno_error(errno, "unable to remove '" + base::printable(path) + "'");
  }
  return repository::flush_directory(base::directory_of(path));
}

Result<KeptFile> read_kept(const std::string& path) {
  auto header = image::read_header(path);
  if (!header) return std::move(header).error();
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    return base::errno_error(errno, "unable to look at '" + base::printable(path) + "'");
  }
  return KeptFile{path, std::move(header->backing_file), std::move(header->backing_format),
                  header->virtual_size, static_cast<std::uint64_t>(status.st_blocks) * kBlock};
}

Result<std::vector<KeptFile>> KeptFiles::all() const {
  std::vector<std::string> paths{image_};
  for (const std::string& id : ids_)
    paths.push_back(point_file(image_, id));
  std::vector<KeptFile> files;
  for (const std::string& path : paths) {
    const bool known = std::any_of(files.begin(), files.end(), [&](const KeptFile& file) {
      return is_same_file(file.path, path);
    });
    if (known || !is_there(path)) continue;
    auto file = read_kept(path);
    if (!file) return std::move(file).error();
    files.push_back(std::move(*file));
  }
  return files;
}

Result<std::vector<KeptFile>> KeptFiles::standing_on(const std::string& path) const {
  auto files = all();
  if (!files) return files;
  std::erase_if(*files, [&](const KeptFile& file) { return file.below != path; });
  return files;
}

Result<void> KeptFiles::give_name_now(const std::string& file, const std::string& name) const {
  // A rename, so that the name always means one or the other.
  const std::string passing = image_ + std::string(image::kPointMark) + std::string(kNewMark);
  (void)::unlink(passing.c_str());
  if (::link(file.c_str(), passing.c_str()) != 0 || ::rename(passing.c_str(), name.c_str()) != 0) {
    return base::errno_error(errno, "unable to give '" + base::printable(file) + "' the name '" +
                                        base::printable(name) + "'");
  }
  // Between two names of one file rename(2) does nothing.
  (void)::unlink(passing.c_str());
  return {};
}

Result<void> KeptFiles::give_name(const std::string& file, const std::string& name) const {
  // Its content first: a name in the place of another must not lead to less.
  if (auto flushed = repository::flush_file(file); !flushed) return flushed;
  if (auto given = give_name_now(file, name); !given) return given;
  return repository::flush_directory(base::directory_of(name));
}

// Is it one more name of what has its own?
bool KeptFiles::is_spare(const std::string& path) const {
  if (path.ends_with(kNewMark)) return true;
  const std::string id = image::point_of(path);
  if (id.empty() || (ids_.contains(id) && path == point_file(image_, id))) return false;
  return is_same_file(path, image_) ||
         std::any_of(ids_.begin(), ids_.end(), [&](const std::string& one) {
           return is_same_file(path, point_file(image_, one));
         });
}

Result<bool> KeptFiles::tidy(const std::set<std::string>& in_use) const {
  const auto names = names_beside(image_ + std::string(image::kPointMark));
  if (!names) return names.error();
  bool none_left = true;
  for (const std::string& path : *names) {
    if (!is_spare(path)) continue;
    none_left = none_left && !in_use.contains(path);
    if (in_use.contains(path)) continue;
    if (auto dropped = drop_file(path); !dropped) return std::move(dropped).error();
  }
  return none_left;
}

}  // namespace holdfast::host::snapshot
