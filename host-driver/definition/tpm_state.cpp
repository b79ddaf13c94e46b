// SPDX-License-Identifier: MIT
#include "definition/tpm_state.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "base/text.h"
#include "base/unique_fd.h"
#include "definition/process.h"

namespace holdfast::host::definition {

using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

// A TPM's memory has some ten KiB.
constexpr std::size_t kLargest = std::size_t{4} << 20U;
constexpr int kReadings = 20;
constexpr const char* kSet = "set tpm-state to the directory";
constexpr const char* kOneFile = "tpm-state.bin";
// As swtpm names them (src/swtpm/swtpm_nvstore.c): of TPM 1.2 and 2.0, its first and only instance.
constexpr std::array<const char*, 6> kNames{"tpm2-00.permall",      "tpm2-00.volatilestate",
                                            "tpm2-00.savestate",    "tpm-00.permall",
                                            "tpm-00.volatilestate", "tpm-00.savestate"};

bool is_directory(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

// What tells one state of a file from the next; all zero for a file that is not there.
struct Stamp {
  ino_t inode = 0;
  off_t size = 0;
  std::int64_t modified = 0;
  std::int64_t changed = 0;

  bool operator==(const Stamp&) const = default;
};

std::int64_t nanoseconds(const timespec& time) {
  return static_cast<std::int64_t>(time.tv_sec) * 1000000000 + time.tv_nsec;
}

Stamp stamp_of(const struct stat& status) {
  return {status.st_ino, status.st_size, nanoseconds(status.st_mtim), nanoseconds(status.st_ctim)};
}

Stamp stamp_at(int directory, const std::string& name) {
  struct stat status {};
  if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return {};
  return stamp_of(status);
}

Result<std::string> read_whole(int fd, const std::string& path) {
  std::string content;
  std::array<char, 16384> piece{};
  for (;;) {
    const ssize_t count = ::read(fd, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::errno_error(errno, "unable to read " + base::in_quotes(path));
    if (count == 0) return content;
    content.append(piece.data(), static_cast<std::size_t>(count));
    if (content.size() > kLargest) {
      return Error(ErrorCode::kTooLarge,
                   base::in_quotes(path) + " is larger than " + base::format_bytes(kLargest));
    }
  }
}

struct Reading {
  std::vector<TpmFile> files;
  std::vector<Stamp> stamps;  // of every name, there or not
};

using Names = std::vector<std::pair<std::string, std::string>>;  // there, in the backup

Names names_of(const TpmPlace& place) {
  if (!place.file.empty()) return {{place.file, kOneFile}};
  Names names;
  for (const char* name : kNames)
    names.emplace_back(name, name);
  return names;
}

Result<Reading> read_once(int directory, const TpmPlace& place, const Names& names) {
  Reading reading;
  for (const auto& [name, stored] : names) {
    const std::string path = place.directory + "/" + name;
    const base::UniqueFd fd(::openat(directory, name.c_str(),
                                     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!fd.valid()) {
      if (errno != ENOENT)
        return base::errno_error(errno, "unable to open " + base::in_quotes(path));
      reading.stamps.emplace_back();
      continue;
    }
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) {
      return base::errno_error(errno, "unable to look at " + base::in_quotes(path));
    }
    if (!S_ISREG(status.st_mode)) {
      return Error(ErrorCode::kRefused,
                   "unable to use " + base::in_quotes(path) + ": not a regular file");
    }
    auto content = read_whole(fd.get(), path);
    if (!content) return std::move(content).error();
    reading.stamps.push_back(stamp_of(status));
    reading.files.push_back({stored, path, std::move(*content),
                             std::chrono::system_clock::time_point(
                                 std::chrono::nanoseconds(reading.stamps.back().modified))});
  }
  return reading;
}

Result<TpmPlace> place_of_uri(TpmPlace place, const std::string& uri) {
  constexpr std::string_view kDirectory = "dir://";
  constexpr std::string_view kFile = "file://";
  if (uri.starts_with(kDirectory)) {
    place.directory = uri.substr(kDirectory.size());
    return place;
  }
  if (!uri.starts_with(kFile)) {
    return Error(ErrorCode::kUnsupported,
                 "unable to use the TPM's backend-uri " + base::in_quotes(uri));
  }
  const std::string path = uri.substr(kFile.size());
  const std::size_t slash = path.rfind('/');
  place.directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  place.file = path.substr(slash + 1);
  return place;
}

}  // namespace

Result<std::optional<std::string>> tpm_of_qemu(qmp::Client& monitor, base::Deadline deadline) {
  const auto answer = monitor.execute("query-tpm", Json::object(), deadline);
  // A QEMU that was built without any does not know the command.
  if (!answer || !answer->is_array() || answer->empty()) return std::optional<std::string>();
  const auto options = base::object_member(answer->front(), "options");
  const std::string type = options ? base::string_member(**options, "type").value_or("") : "";
  if (type != "emulator") {
    return Error(ErrorCode::kUnsupported,
                 "it is of type '" + base::printable(type, 40) + "', and belongs to the host");
  }
  const auto data = base::object_member(**options, "data");
  if (!data) return data.error();
  auto chardev = base::string_member(**data, "chardev");
  if (!chardev) return std::move(chardev).error();
  return std::optional<std::string>(std::move(*chardev));
}

Result<TpmPlace> find_swtpm(const Words& words, pid_t qemu, const std::string& chardev) {
  std::string socket;
  for (const std::string& value : values_of(words, "-chardev")) {
    if (key_in(value, "id") == chardev) socket = key_in(value, "path").value_or("");
  }
  socket = absolute_path(socket, qemu);
  if (socket.empty()) {
    return Error(ErrorCode::kNotFound, "QEMU's command line does not name the socket of '" +
                                           base::printable(chardev, 80) + "'")
        .with_hint(kSet);
  }
  for (const pid_t holder : socket_holders(socket, qemu)) {
    const auto own = command_line_of(holder);
    if (own && program_name(*own).starts_with("swtpm")) return place_in(*own, holder);
  }
  return Error(ErrorCode::kNotFound, "no swtpm is to be seen at " + base::in_quotes(socket))
      .with_hint(std::string("run this as root, or ") + kSet);
}

Result<TpmPlace> place_in(const Words& words, pid_t swtpm) {
  TpmPlace place{.engine = "swtpm", .found_by = "the command line of swtpm"};
  place.encrypted = !values_of(words, "-key").empty();
  const auto values = values_of(words, "-tpmstate");
  if (values.empty()) {
    return Error(ErrorCode::kNotFound, "swtpm's command line names no directory").with_hint(kSet);
  }
  if (const auto uri = key_in(values.back(), "backend-uri"); uri) {
    auto found = place_of_uri(std::move(place), *uri);
    if (!found) return found;
    place = std::move(*found);
  } else {
    place.directory = key_in(values.back(), "dir").value_or("");
  }
  const std::string absolute = absolute_path(place.directory, swtpm);
  if (absolute.empty()) {
    return Error(ErrorCode::kNotFound,
                 "it is not known what swtpm means by " + base::in_quotes(place.directory))
        .with_hint(kSet);
  }
  place.directory = absolute;
  return place;
}

Result<TpmPlace> find_libvirt_tpm(bool session, const std::string& uuid) {
  if (!base::is_plain_name(uuid)) {
    return Error(ErrorCode::kProtocol, base::in_quotes(uuid) + " is no UUID");
  }
  std::string base = "/var/lib/libvirt/swtpm/";
  if (session) {
    const char* const config = std::getenv("XDG_CONFIG_HOME");
    const char* const home = std::getenv("HOME");
    base =
        config != nullptr && *config == '/' ? config : std::string(home ? home : "") + "/.config";
    base += "/libvirt/qemu/swtpm/";
  }
  for (const char* kind : {"tpm2", "tpm1.2"}) {
    const std::string directory = base + uuid + "/" + kind;
    if (is_directory(directory)) {
      return TpmPlace{.engine = "swtpm", .found_by = "libvirt", .directory = directory};
    }
  }
  return Error(ErrorCode::kNotFound, "there is none below " + base::in_quotes(base + uuid))
      .with_hint(std::string("run this as root, or ") + kSet);
}

TpmPlace tpm_at(const std::string& directory) {
  return {.engine = "swtpm", .found_by = "tpm-state", .directory = directory};
}

Result<std::vector<TpmFile>> read_tpm_state(const TpmPlace& place,
                                            const std::function<void()>& between) {
  const base::UniqueFd directory(
      ::open(place.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) {
    return base::errno_error(errno, "unable to open " + base::in_quotes(place.directory))
        .with_hint(kSet);
  }
  const Names names = names_of(place);
  for (int attempt = 0; attempt < kReadings; ++attempt) {
    auto reading = read_once(directory.get(), place, names);
    if (!reading) return std::move(reading).error();
    if (between) between();
    bool same = true;
    for (std::size_t i = 0; i < names.size(); ++i)
      same = same && stamp_at(directory.get(), names[i].first) == reading->stamps[i];
    if (!same) continue;
    if (!reading->files.empty()) return std::move(reading->files);
    return Error(ErrorCode::kNotFound, "there is no state in " + base::in_quotes(place.directory))
        .with_hint(kSet);
  }
  return Error(ErrorCode::kBusy,
               base::in_quotes(place.directory) + " changes faster than it can be read");
}

}  // namespace holdfast::host::definition
