// SPDX-License-Identifier: MIT
#include "repository/repository.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "repository/group.h"
#include "repository/index.h"
#include "repository/paths.h"
#include "repository/stored.h"
#include "repository/use.h"

namespace holdfast::host::repository {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

constexpr std::size_t kManifestLimit = std::size_t{4} << 20U;
constexpr std::size_t kMarkLimit = 4096;
constexpr std::string_view kMarkText =
    "This directory is a Holdfast repository (schema 1). See holdfast(1).\ntag: ";
constexpr std::size_t kTagLength = 8;
// Of a repository whose mark has no tag.
constexpr std::string_view kNoTag = "00000000";

// The last line of the mark: "tag: 1f3a9c0b".
std::string tag_in(std::string_view mark) {
  constexpr std::string_view kLead = "\ntag: ";
  const std::size_t at = mark.rfind(kLead);
  if (at == std::string_view::npos) return std::string(kNoTag);
  std::string tag(mark.substr(at + kLead.size(), kTagLength));
  const bool good = tag.size() == kTagLength && std::all_of(tag.begin(), tag.end(), [](char c) {
                      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                    });
  return good ? tag : std::string(kNoTag);
}

// Runs that begin side by side may find the same empty directory: one of them writes the mark, and
// all go by its tag. An empty mark is one whose maker died.
Result<void> make_mark(const std::string& path) {
  const std::string failure = "unable to write " + base::in_quotes(path);
  const base::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return base::errno_error(errno, failure);
  // Whoever holds it writes a hundred bytes and lets go, or dies.
  while (::flock(fd.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return base::errno_error(errno, failure);
  }
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return base::errno_error(errno, failure);
  if (status.st_size > 0) return {};
  const auto tag = make_tag();
  if (!tag) return tag.error();
  const std::string text = std::string(kMarkText) + *tag + "\n";
  if (::pwrite(fd.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()) ||
      ::fsync(fd.get()) != 0) {
    const int problem = errno;
    (void)!::ftruncate(fd.get(), 0);
    return base::errno_error(problem, failure);
  }
  return flush_directory(path.substr(0, path.rfind('/')));
}

Result<void> remove_tree(const std::string& path) {
  std::error_code problem;
  (void)std::filesystem::remove_all(path, problem);
  if (!problem) return {};
  return base::errno_error(problem.value(), "unable to remove " + base::in_quotes(path));
}

// A regular file, no link, of the recorded size.
Result<std::string> stored_path(std::string path, std::uint64_t bytes) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    return base::errno_error(errno, "unable to open " + base::in_quotes(path));
  }
  if (!S_ISREG(status.st_mode)) {
    return Error(ErrorCode::kRefused,
                 "unable to use " + base::in_quotes(path) + ": not a regular file");
  }
  if (static_cast<std::uint64_t>(status.st_size) != bytes) {
    return Error(ErrorCode::kCorrupt, base::in_quotes(path) + " has " +
                                          std::to_string(status.st_size) +
                                          " bytes, the manifest says " + std::to_string(bytes));
  }
  return path;
}

Error not_ours(const std::string& path) {
  return Error(ErrorCode::kRefused, "unable to use " + base::in_quotes(path) +
                                        " as a repository: it is not one of Holdfast's")
      .with_hint("name an empty directory, or one that does not exist yet");
}

}  // namespace

Result<std::vector<std::string>> names_in(const std::string& directory) {
  std::error_code problem;
  std::vector<std::string> names;
  auto entry = std::filesystem::directory_iterator(directory, problem);
  for (; !problem && entry != std::filesystem::directory_iterator(); entry.increment(problem)) {
    names.push_back(entry->path().filename().string());
  }
  if (problem)
    return base::errno_error(problem.value(), "unable to list " + base::in_quotes(directory));
  std::sort(names.begin(), names.end());
  return names;
}

bool may_become_one(const std::string& path) {
  const auto names = names_in(path);
  if (!names) return false;
  // Another run may have made it since, or be about to.
  const bool ours = std::find(names->begin(), names->end(), kMarkName) != names->end();
  const bool empty = std::all_of(names->begin(), names->end(), [](const std::string& name) {
    return name == "lost+found";  // what mkfs leaves in a fresh filesystem
  });
  return ours || empty;
}

Result<Repository> Repository::open(const std::string& path) {
  // A link to the repository itself is the administrator's choice; inside it none is followed.
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    return base::errno_error(errno, "unable to open the repository " + base::in_quotes(path));
  }
  if (!S_ISDIR(status.st_mode)) return not_ours(path);
  const auto mark = kind_of(path + "/" + std::string(kMarkName));
  if (!mark) return mark.error();
  if (*mark != Kind::kFile) return not_ours(path);
  const auto text = base::read_file(path + "/" + std::string(kMarkName), kMarkLimit);
  if (!text) return text.error();
  // Somebody is making it, or died of it.
  if (text->empty()) return not_ours(path);
  return Repository(path, tag_in(*text));
}

Result<Repository> Repository::open_or_create(const std::string& path) {
  auto opened = open(path);
  if (opened) return opened;
  if (opened.error().code() == ErrorCode::kNotFound) {
    if (auto made = ensure_directories(path); !made) return std::move(made).error();
  } else if (opened.error().code() != ErrorCode::kRefused) {
    return opened;
  }
  if (!may_become_one(path)) return opened;
  const std::string mark(kMarkName);
  if (auto marked = make_mark(path + "/" + mark); !marked) {
    const ErrorCode code = marked.error().code();
    return Error(code, "unable to make a repository of " + base::in_quotes(path))
        .caused_by(std::move(marked).error());
  }
  return open(path);
}

Result<std::string> Repository::vm_directory(const std::string& vm) const {
  if (auto named = check_vm_name(vm); !named) return std::move(named).error();
  const std::string directory = path_ + "/" + vm;
  const auto kind = kind_of(directory);
  if (!kind) return kind.error();
  if (*kind == Kind::kMissing) {
    return Error(ErrorCode::kNotFound,
                 "there is no backup of '" + vm + "' in " + base::in_quotes(path_));
  }
  if (*kind != Kind::kDirectory) {
    return Error(ErrorCode::kRefused,
                 "unable to use " + base::in_quotes(directory) + ": not a directory");
  }
  return directory;
}

Result<void> Repository::still_there() const {
  const auto now = open(path_);
  if (now && now->tag_ == tag_) return {};
  return Error(ErrorCode::kNotFound, "the repository " + base::in_quotes(path_) + " is gone")
      .with_hint("is its filesystem still mounted?");
}

Result<std::string> Repository::make_vm_directory(const std::string& vm) const {
  if (auto named = check_vm_name(vm); !named) return std::move(named).error();
  if (auto there = still_there(); !there) return std::move(there).error();
  const std::string directory = path_ + "/" + vm;
  if (auto made = ensure_directory(directory); !made) return std::move(made).error();
  return directory;
}

Result<std::vector<std::string>> Repository::vms() const {
  auto names = names_in(path_);
  if (!names) return names;
  std::vector<std::string> machines;
  for (const std::string& name : *names) {
    const auto kind = kind_of(path_ + "/" + name);
    if (base::is_plain_name(name) && kind && *kind == Kind::kDirectory && name != "lost+found") {
      machines.push_back(name);
    }
  }
  return machines;
}

Result<Backup> Repository::load(const std::string& vm, const std::string& id) const {
  return load_backup(*this, vm, id);
}

Result<Backup> load_backup(const Repository& repository, const std::string& vm,
                           const std::string& id) {
  const std::string directory = repository.path() + "/" + vm + "/" + id;
  const std::string file = directory + "/" + std::string(kManifestName);
  for (const auto& [path, wanted] :
       {std::pair(directory, Kind::kDirectory), std::pair(file, Kind::kFile)}) {
    const auto kind = kind_of(path);
    if (!kind) return kind.error();
    if (*kind != wanted) {
      return Error(ErrorCode::kCorrupt, "unable to use " + base::in_quotes(path) + ": " +
                                            (*kind == Kind::kMissing ? "missing" : "wrong kind"));
    }
  }
  const auto text = base::read_file(file, kManifestLimit);
  if (!text) return text.error();
  auto manifest = parse_manifest(*text);
  if (!manifest) return std::move(manifest).error();
  if (manifest->id != id || manifest->vm != vm) {
    return Error(ErrorCode::kCorrupt, "unable to use " + base::in_quotes(file) +
                                          ": it belongs to '" + manifest->vm + "/" + manifest->id +
                                          "'");
  }
  const auto binding = binding_of(repository.path(), directory, id);
  if (!binding) return binding.error();
  if (*binding == Binding::kUnbound) {
    return Error(ErrorCode::kCorrupt, "its group '" + manifest->group.name +
                                          "' was never completed: a run of it is at work, or died")
        .with_hint("the next backup of '" + vm + "' removes it");
  }
  // Whatever stands there protects.
  const auto marker = kind_of(directory + "/" + std::string(kProtectedName));
  if (!marker) return marker.error();
  return Backup{directory, std::move(*manifest), *marker != Kind::kMissing};
}

// What cannot be known is left to load().
bool Repository::is_unbound(const std::string& vm_directory, const std::string& id) const {
  const auto binding = binding_of(path_, vm_directory + "/" + id, id);
  return binding && *binding == Binding::kUnbound;
}

Result<Listing> Repository::list(const std::string& vm) const {
  const auto directory = vm_directory(vm);
  if (!directory) return directory.error();
  const auto names = names_in(*directory);
  if (!names) return names.error();
  Listing listing;
  for (const std::string& name : *names) {
    if (!is_backup_id(name) || is_unbound(*directory, name)) continue;
    auto backup = load(vm, name);
    if (backup) {
      listing.backups.push_back(std::move(*backup));
    } else {
      listing.bad.push_back({vm, name, std::move(backup).error()});
    }
  }
  return listing;
}

Result<Backup> Repository::find(const std::string& vm, const std::string& id) const {
  const auto directory = vm_directory(vm);
  if (!directory) return directory.error();
  const auto names = names_in(*directory);
  if (!names) return names.error();
  std::vector<std::string> matching;
  for (const std::string& name : *names) {
    if (!is_backup_id(name)) continue;
    const bool wanted =
        id == "latest" ? !is_unbound(*directory, name) : !id.empty() && name.starts_with(id);
    if (wanted) matching.push_back(name);
  }
  if (matching.empty()) {
    return Error(ErrorCode::kNotFound, "there is no backup '" + base::printable(id, 80) + "' of '" +
                                           vm + "' in " + base::in_quotes(path_))
        .with_hint("holdfast list " + vm);
  }
  if (matching.size() > 1 && id != "latest") {
    return Error(ErrorCode::kUsage,
                 "'" + base::printable(id, 80) + "' fits several backups of '" + vm + "'")
        .with_hint("the latest of them is " + matching.back());
  }
  return load(vm, matching.back());
}

Result<std::string> Repository::disk_path(const std::string& directory, const DiskEntry& disk) {
  return stored_path(directory + "/" + disk.file, disk.bytes);
}

Result<std::string> Repository::file_path(const std::string& directory, const FileEntry& file) {
  return stored_path(directory + "/" + file.file, file.bytes);
}

Result<std::string> Repository::archive_path(const std::string& directory,
                                             const ArchiveEntry& archive) {
  return stored_path(directory + "/" + archive.file, archive.bytes);
}

Result<void> Repository::remove_backup(const std::string& vm, const std::string& id) const {
  const auto directory = vm_directory(vm);
  if (!directory) return directory.error();
  const std::string path = *directory + "/" + id;
  if (!is_backup_id(id)) {
    return Error(ErrorCode::kUsage, "unable to remove " + base::in_quotes(path) + ": not a backup");
  }
  // A name that leads nowhere cannot be found any more: the claim is needed until then.
  auto claimed = claim(path);
  if (!claimed) return std::move(claimed).error();
  const std::string leaving = *directory + "/" + std::string(kRemovingPrefix) + id;
  if (::rename(path.c_str(), leaving.c_str()) != 0) {
    return base::errno_error(errno, "unable to remove " + base::in_quotes(path));
  }
  claimed->reset();
  // On disk before anything else goes: after a power cut no chain is broken either.
  if (auto flushed = flush_directory(*directory); !flushed) return flushed;
  return remove_tree(leaving);
}

Result<std::vector<std::string>> Repository::remove_incomplete(const std::string& vm) const {
  const auto directory = vm_directory(vm);
  if (!directory) return directory.error();
  const auto names = names_in(*directory);
  if (!names) return names.error();
  std::vector<std::string> removed;
  for (const std::string& name : *names) {
    if (is_backup_id(name)) {
      const auto binding = binding_of(path_, *directory + "/" + name, name);
      if (!binding) return binding.error();
      if (*binding == Binding::kNone) continue;
      auto done =
          *binding == Binding::kBound ? unmark(*directory + "/" + name) : remove_backup(vm, name);
      if (!done) return std::move(done).error();
      if (*binding == Binding::kUnbound) removed.push_back(name);
      continue;
    }
    // Of who was killed while writing it; one who is at it does without.
    if (name.starts_with(std::string(kIndexName) + ".")) {
      (void)base::remove_file(*directory + "/" + name);
      continue;
    }
    if (!name.starts_with(kIncompletePrefix) && !name.starts_with(kRemovingPrefix)) continue;
    if (auto gone = remove_tree(*directory + "/" + name); !gone) return std::move(gone).error();
    removed.push_back(name);
  }
  return removed;
}

}  // namespace holdfast::host::repository
