// SPDX-License-Identifier: MIT
#include "image/qemu_img.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

#include "base/json_codec.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "image/source.h"

namespace holdfast::host::image {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::ProcessOutcome;
using base::ProcessSpec;
using base::Result;

namespace {

// qemu-img check: 0 clean, 2 corrupt, 3 leaked clusters (space lost, data whole) (qemu-img(1)).
constexpr int kCheckCorrupt = 2;
constexpr int kCheckLeaks = 3;
constexpr std::uint64_t kProbeSize = std::uint64_t{1} << 20U;
constexpr std::size_t kMapLimit = std::size_t{64} << 10U;

}  // namespace

double percent_in(std::string_view piece) {
  const std::size_t end = piece.rfind("/100%)");
  if (end == std::string_view::npos) return -1;
  const std::size_t begin = piece.rfind('(', end);
  if (begin == std::string_view::npos) return -1;
  double percent = -1;
  const char* const last = piece.data() + end;
  const auto [rest, problem] = std::from_chars(piece.data() + begin + 1, last, percent);
  return problem == std::errc{} && rest == last && percent >= 0 && percent <= 100 ? percent : -1;
}

Result<std::string> QemuImg::run(ProcessSpec spec) {
  spec.argv.insert(spec.argv.begin(), program_);
  ProcessOutcome outcome = processes_.run(spec);
  if (!outcome.succeeded()) {
    Error error = outcome.as_error("qemu-img " + spec.argv[1]);
    if (error.code() == ErrorCode::kNotFound) {
      return std::move(error).with_hint("install the package qemu-utils");
    }
    return error;
  }
  return std::move(outcome.output);
}

Result<std::string> QemuImg::version(Deadline deadline) {
  auto output = run({.argv = {"--version"}, .environment = {}, .deadline = deadline});
  if (!output) return output;
  // "qemu-img version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)"
  constexpr std::string_view kLead = "qemu-img version ";
  std::string_view text = *output;
  if (!text.starts_with(kLead)) return base::printable(text.substr(0, text.find('\n')), 60);
  text.remove_prefix(kLead.size());
  return base::printable(text.substr(0, text.find_first_of(" \n")), 40);
}

std::string QemuImg::creation_option() const {
  if (compression_ == Compression::kNone) return {};
  return "compression_type=" + std::string(name_of(compression_));
}

Result<void> QemuImg::create(std::vector<std::string> options, const std::string& path,
                             std::uint64_t virtual_size, Deadline deadline) {
  std::vector<std::string> words = std::move(options);
  words.insert(words.begin(), {"create", "-q", "-f", "qcow2"});
  words.insert(words.end(), {path, std::to_string(virtual_size)});
  auto done = run({.argv = std::move(words), .environment = {}, .deadline = deadline});
  if (!done) return std::move(done).error();
  return {};
}

Result<void> QemuImg::create(const std::string& path, std::uint64_t virtual_size,
                             Deadline deadline) {
  std::vector<std::string> options;
  if (compression_ != Compression::kNone) options = {"-o", creation_option()};
  return create(std::move(options), path, virtual_size, deadline);
}

Result<void> QemuImg::create_overlay(const std::string& path, const std::string& backing_path,
                                     const std::string& backing_format, std::uint64_t virtual_size,
                                     Deadline deadline) {
  return create({"-u", "-b", backing_path, "-F", backing_format}, path, virtual_size, deadline);
}

Result<void> QemuImg::create_increment(const std::string& path, const std::string& reference,
                                       std::uint64_t virtual_size, Deadline deadline) {
  std::vector<std::string> options{"-u", "-b", reference, "-F", "qcow2"};
  if (compression_ != Compression::kNone) {
    options.insert(options.end(), {"-o", creation_option()});
  }
  return create(std::move(options), path, virtual_size, deadline);
}

Result<void> QemuImg::check_compression(Deadline deadline) {
  if (compression_ == Compression::kNone) return {};
  // Its help does not list the kinds: one has to be tried. In memory, so that nothing is left.
  const base::UniqueFd fd(::memfd_create("holdfast-probe", MFD_CLOEXEC));
  if (!fd.valid()) return base::errno_error(errno, "unable to make a file in memory");
  const std::string path =
      "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd.get());
  auto made = create(path, kProbeSize, deadline);
  if (made) return {};
  const ErrorCode code = made.error().code();
  return Error(code == ErrorCode::kProcessFailed ? ErrorCode::kUnsupported : code,
               "this qemu-img is unable to compress with " + std::string(name_of(compression_)))
      .with_hint("'compress = none' does without")
      .caused_by(std::move(made).error());
}

Result<void> QemuImg::convert(const std::string& source, const std::string& target,
                              const std::string& target_format, Deadline deadline,
                              const std::stop_token& stop, const Progress& progress) {
  return convert({source, target}, target_format, deadline, stop, progress);
}

Result<void> QemuImg::extract(const std::string& source, const std::string& snapshot,
                              const std::string& target, const std::string& target_format,
                              Deadline deadline, const std::stop_token& stop,
                              const Progress& progress) {
  return convert({"-U", "-l", "snapshot.name=" + snapshot, source, target}, target_format, deadline,
                 stop, progress);
}

Result<void> QemuImg::convert(std::vector<std::string> words, const std::string& target_format,
                              Deadline deadline, const std::stop_token& stop,
                              const Progress& progress) {
  words.insert(words.begin(), {"convert", "-p", "-O", target_format});
  ProcessSpec spec{.argv = std::move(words), .environment = {}, .deadline = deadline, .stop = stop};
  if (rate_limit_ > 0) {
    spec.argv.insert(spec.argv.begin() + 2, {"-r", std::to_string(rate_limit_)});
  }
  if (compression_ != Compression::kNone && target_format == "qcow2") {
    // Written in order, one cluster would be compressed at a time; measured, -W takes 0.6 of that
    // time on two processors. Where a compressed cluster lies is of no matter.
    spec.argv.insert(spec.argv.begin() + 2, {"-c", "-W", "-o", creation_option()});
  }
  if (progress) {
    spec.on_output = [&progress](std::string_view piece) {
      if (const double percent = percent_in(piece); percent >= 0) progress(percent);
    };
  }
  auto done = run(std::move(spec));
  if (!done) return std::move(done).error();
  return {};
}

Result<ImageInfo> QemuImg::info(const std::string& path, const std::string& format, Use use,
                                Deadline deadline) {
  std::vector<std::string> words{"info", "--output=json", "-f", format, path};
  if (use == Use::kShared) words.insert(words.begin() + 1, "-U");
  auto output = run({.argv = std::move(words),
                     .environment = {},
                     .deadline = deadline,
                     .output_limit = kInfoLimit});
  if (!output) return std::move(output).error();
  return parse_image_info(*output);
}

Result<void> QemuImg::change_snapshot(SnapshotChange change, const std::string& path,
                                      const std::string& name, Deadline deadline) {
  // In full, since `qemu-img snapshot` would probe. No backing file is opened: none is needed, and
  // its header goes on naming it.
  auto source = source_of({{path, "qcow2"}});
  if (!source) return std::move(source).error();
  const char* const option = change == SnapshotChange::kCreate  ? "-c"
                             : change == SnapshotChange::kApply ? "-a"
                                                                : "-d";
  auto done =
      run({.argv = {"snapshot", option, name, *source}, .environment = {}, .deadline = deadline});
  if (!done) return std::move(done).error();
  return {};
}

Result<void> QemuImg::remove_bitmap(const std::string& path, const std::string& name,
                                    Deadline deadline) {
  auto done = run({.argv = {"bitmap", "--remove", "-f", "qcow2", path, name},
                   .environment = {},
                   .deadline = deadline});
  if (!done) return std::move(done).error();
  return {};
}

Result<void> QemuImg::commit(const std::string& path, Deadline deadline,
                             const std::stop_token& stop) {
  // -d: it is not emptied.
  auto done = run({.argv = {"commit", "-q", "-d", "-f", "qcow2", path},
                   .environment = {},
                   .deadline = deadline,
                   .stop = stop});
  if (!done) return std::move(done).error();
  return {};
}

Result<void> QemuImg::rebase(const std::string& path, const std::string& below,
                             const std::string& below_format, Deadline deadline,
                             const std::stop_token& stop) {
  std::vector<std::string> words{"rebase", "-q", "-f", "qcow2", "-b", below};
  if (!below.empty()) words.insert(words.end(), {"-F", below_format});
  words.push_back(path);
  auto done =
      run({.argv = std::move(words), .environment = {}, .deadline = deadline, .stop = stop});
  if (!done) return std::move(done).error();
  return {};
}

Result<bool> QemuImg::is_untouched(const std::string& path, Deadline deadline) {
  auto source = source_of({{path, "qcow2"}});
  if (!source) return std::move(source).error();
  auto output = run({.argv = {"map", "--output=json", *source},
                     .environment = {},
                     .deadline = deadline,
                     .output_limit = kMapLimit});
  if (!output) return std::move(output).error();
  const auto map = base::parse_json(*output, {kMapLimit, 8});
  // An overlay whose map does not fit has been written to.
  if (!map || !map->is_array()) return false;
  return std::all_of(map->begin(), map->end(), [](const base::Json& range) {
    return !base::bool_member(range, "present").value_or(true);
  });
}

Result<void> QemuImg::check(const std::string& path, Deadline deadline,
                            const std::stop_token& stop) {
  const auto source = source_of({{path, "qcow2"}});
  if (!source) return source.error();
  const ProcessSpec spec{.argv = {program_, "check", "-q", *source},
                         .environment = {},
                         .deadline = deadline,
                         .stop = stop};
  const ProcessOutcome outcome = processes_.run(spec);
  if (outcome.succeeded()) return {};
  if (outcome.ending == ProcessOutcome::Ending::kExited) {
    if (outcome.status == kCheckLeaks) return {};
    if (outcome.status == kCheckCorrupt) {
      return Error(ErrorCode::kCorrupt, "the image '" + base::printable(path) + "' is corrupt")
          .caused_by(outcome.as_error("qemu-img check"));
    }
  }
  return outcome.as_error("qemu-img check");
}

}  // namespace holdfast::host::image
