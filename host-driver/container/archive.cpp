// SPDX-License-Identifier: MIT
#include "container/archive.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "base/file.h"
#include "base/text.h"
#include "base/unique_fd.h"

namespace holdfast::host::container {

using base::Error;
using base::ErrorCode;
using base::ProcessOutcome;
using base::Result;

namespace {

// What a program says; the names of a listing are counted and not kept.
constexpr std::size_t kSaidLimit = 4096;

// What is kept of a file is asked for by name: none of it is tar's default.
std::vector<std::string> tar_command(const char* verb, const std::string& compression) {
  std::vector<std::string> words{"tar",    verb,       "--force-local",     "--numeric-owner",
                                 "--acls", "--xattrs", "--xattrs-include=*"};
  if (compression == "zstd") words.emplace_back("--use-compress-program=zstd --quiet");
  return words;
}

// Writes what it is given, and no faster than it may.
class Sink {
 public:
  Sink(int fd, const std::string& path, std::int64_t rate_limit)
      : fd_(fd), path_(path), rate_limit_(rate_limit) {}

  void take(std::string_view piece, const std::stop_token& stop) {
    auto written = base::write_all(fd_, piece, path_);
    if (!written) problem_ = std::move(written).error();
    bytes_ += piece.size();
    if (rate_limit_ == 0) return;
    const auto due = begin_ + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                                  std::chrono::duration<double>(static_cast<double>(bytes_) /
                                                                static_cast<double>(rate_limit_)));
    // The pipe makes tar wait meanwhile.
    std::mutex mutex;
    std::unique_lock lock(mutex);
    (void)std::condition_variable_any().wait_until(lock, stop, due, [] { return false; });
  }

  [[nodiscard]] const std::optional<Error>& problem() const { return problem_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  int fd_;
  const std::string& path_;
  std::int64_t rate_limit_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::uint64_t bytes_ = 0;
  std::optional<Error> problem_;
};

}  // namespace

std::string archive_file(const std::string& compression) {
  return compression == "zstd" ? "root.tar.zst" : "root.tar";
}

Result<void> Archiver::check_programs(const std::string& compression) {
  const ProcessOutcome tar = processes_.run({.argv = {"tar", "--version"}, .deadline = deadline_});
  if (!tar.succeeded() || tar.output.find("GNU tar") == std::string::npos) {
    return Error(ErrorCode::kNotFound, "'tar' is not GNU tar: " + tar.description())
        .with_hint("install the package tar");
  }
  if (compression != "zstd") return {};
  const ProcessOutcome zstd =
      processes_.run({.argv = {"zstd", "--version"}, .deadline = deadline_});
  if (zstd.succeeded()) return {};
  return zstd.as_error("zstd").with_hint("install the package zstd, or set compress = none");
}

Result<void> Archiver::write(const std::string& directory, const std::string& path,
                             const std::string& compression, std::int64_t rate_limit,
                             const std::function<void(std::uint64_t)>& progress) {
  const base::UniqueFd fd(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.valid()) {
    return base::errno_error(errno, "unable to make '" + base::printable(path) + "'");
  }
  std::vector<std::string> words = tar_command("--create", compression);
  words.insert(words.end(), {"--format=posix", "--pax-option=delete=atime,delete=ctime", "--sparse",
                             "--one-file-system", "--file=-", "--directory=" + directory, "."});
  // A request to stop, and a file that takes no more, end it alike.
  std::stop_source end;
  const std::stop_callback passed_on(stop_, [&end] { end.request_stop(); });
  Sink sink(fd.get(), path, rate_limit);
  const ProcessOutcome outcome = processes_.run({.argv = std::move(words),
                                                 .deadline = deadline_,
                                                 .stop = end.get_token(),
                                                 .output_limit = kSaidLimit,
                                                 .on_output = [&](std::string_view piece) {
                                                   if (sink.problem()) return;
                                                   sink.take(piece, end.get_token());
                                                   if (sink.problem()) end.request_stop();
                                                   if (progress) progress(sink.bytes());
                                                 }});
  if (sink.problem()) return *sink.problem();
  if (!outcome.succeeded()) return outcome.as_error("tar");
  if (::fsync(fd.get()) != 0) {
    return base::errno_error(errno, "unable to flush '" + base::printable(path) + "'");
  }
  return {};
}

Result<std::uint64_t> Archiver::check(const std::string& path, const std::string& compression) {
  std::vector<std::string> words = tar_command("--list", compression);
  words.insert(words.end(), {"--quoting-style=escape", "--file=" + path});
  std::uint64_t entries = 0;
  const ProcessOutcome outcome = processes_.run(
      {.argv = std::move(words),
       .deadline = deadline_,
       .stop = stop_,
       .output_limit = kSaidLimit,
       .on_output = [&](std::string_view piece) {
         entries += static_cast<std::uint64_t>(std::count(piece.begin(), piece.end(), '\n'));
       }});
  if (outcome.succeeded() && entries > 0) return entries;
  if (outcome.succeeded() || outcome.ending == ProcessOutcome::Ending::kExited) {
    Error error(ErrorCode::kCorrupt, "'" + base::printable(path) + "' is no sound archive");
    return outcome.succeeded() ? error : std::move(error).caused_by(outcome.as_error("tar"));
  }
  return outcome.as_error("tar");
}

Result<void> Archiver::unpack(const std::string& path, const std::string& compression,
                              const std::string& directory, const std::vector<std::string>& names) {
  std::vector<std::string> words = tar_command("--extract", compression);
  words.insert(words.end(), {"--same-owner", "--same-permissions", "--file=" + path,
                             "--directory=" + directory, "--"});
  words.insert(words.end(), names.begin(), names.end());
  const ProcessOutcome outcome = processes_.run(
      {.argv = std::move(words), .deadline = deadline_, .stop = stop_, .output_limit = kSaidLimit});
  if (!outcome.succeeded()) return outcome.as_error("tar");
  return {};
}

}  // namespace holdfast::host::container
