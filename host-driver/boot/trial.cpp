// SPDX-License-Identifier: MIT
#include "boot/trial.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "base/duration.h"
#include "base/file.h"
#include "base/text.h"
#include "boot/command.h"
#include "boot/host_files.h"
#include "boot/machine.h"
#include "boot/plan.h"
#include "image/qemu_img.h"
#include "repository/paths.h"
#include "wire/private_directory.h"

namespace holdfast::host::boot {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;
using repository::Backup;
using repository::ProofResult;

namespace {

constexpr const char* kPrefix = "holdfast-boot.";
constexpr std::string_view kDefinition = "definition.json";
constexpr std::string_view kLibvirtVariables = "nvram.fd";
// A unix socket's path ends here (unix(7)).
constexpr std::size_t kLongestSocket = 107;
// The machine goes on a little longer than anybody waits for it: so it is the guest that is late.
constexpr std::chrono::seconds kGrace{5};
constexpr std::size_t kMostMachines = std::size_t{256} << 10U;

// Null where there is none, or none that can be read.
Json definition_of(const Backup& backup) {
  for (const repository::FileEntry& file : backup.manifest.files) {
    if (file.file != kDefinition) continue;
    const auto path = repository::Repository::file_path(backup.directory, file);
    if (!path) return nullptr;
    const auto text = base::read_file(*path, repository::kLargestFile);
    if (!text) return nullptr;
    auto json = base::parse_json(*text, {repository::kLargestFile, 64, 100'000});
    if (json) return std::move(*json);
  }
  return nullptr;
}

const Json& record_of(const Backup& backup) {
  static const Json kNone;
  const auto evidence = backup.manifest.document.find("evidence");
  if (evidence == backup.manifest.document.end() || !evidence->is_object()) return kNone;
  const auto record = evidence->find("guest_record");
  return record == evidence->end() ? kNone : *record;
}

class Attempt {
 public:
  Attempt(const Backup& backup, const config::Settings& settings, base::ProcessRunner& processes,
          const std::stop_token& stop)
      : backup_(backup),
        settings_(settings),
        processes_(processes),
        stop_(stop),
        deadline_(Deadline::in(settings.boot_timeout)) {}

  Result<Trial> make(const std::vector<std::vector<image::Layer>>& layers);

 private:
  Result<std::string> ask_qemu(const std::string& option);
  Result<void> ask_about_qemu();
  Result<void> plan();
  Result<void> make_room();
  Result<void> make_overlays(const std::vector<std::vector<image::Layer>>& layers);
  Result<Trial> run();
  Trial judged(const Machine& machine, Judgement judgement);
  [[nodiscard]] bool has_file(std::string_view name) const {
    const auto& files = backup_.manifest.files;
    return std::any_of(files.begin(), files.end(),
                       [&](const repository::FileEntry& file) { return file.file == name; });
  }
  // What became of the machine rather than of the backup, if that is it.
  std::optional<Error> harmed(Machine& machine, const Error& error);

  const Backup& backup_;
  const config::Settings& settings_;
  base::ProcessRunner& processes_;
  std::stop_token stop_;
  Deadline deadline_;
  std::string version_;
  Plan plan_;
  Stand stand_;
  std::optional<wire::PrivateDirectory> directory_;
  base::MonoTime begin_;
  Json boot_ms_;
};

double millis_since(base::MonoTime begin) {
  const auto span = std::chrono::steady_clock::now() - begin;
  return static_cast<double>(std::chrono::duration_cast<base::Millis>(span).count());
}

Result<std::string> Attempt::ask_qemu(const std::string& option) {
  std::vector<std::string> words{settings_.boot_qemu};
  if (option == "--version") {
    words.push_back(option);
  } else {
    words.insert(words.end(), {option, "help"});
  }
  auto outcome = processes_.run({.argv = std::move(words),
                                 .deadline = Deadline::in(settings_.qmp_timeout),
                                 .stop = stop_,
                                 .output_limit = kMostMachines});
  if (outcome.succeeded()) return std::move(outcome.output);
  Error error = outcome.as_error(settings_.boot_qemu);
  if (error.code() != ErrorCode::kNotFound) return error;
  return std::move(error).with_hint(
      "install the package qemu-system-x86, or name the program with boot-qemu");
}

// "QEMU emulator version 7.2.22 (Debian …)"; and does it know the machine's type?
Result<void> Attempt::ask_about_qemu() {
  const auto said = ask_qemu("--version");
  if (!said) return said.error();
  constexpr std::string_view kLead = "version ";
  const std::size_t at = said->find(kLead);
  if (at != std::string::npos) {
    const std::size_t begin = at + kLead.size();
    version_ = base::printable(said->substr(begin, said->find_first_of(" \n(", begin) - begin), 40);
  }
  const auto types = ask_qemu("-machine");
  if (!types) return types.error();
  if (("\n" + *types).find("\n" + plan_.machine + " ") != std::string::npos) return {};
  const std::string instead = plan_.machine.find("q35") == std::string::npos ? "pc" : "q35";
  plan_.notes.push_back("this QEMU does not know the machine's type '" + plan_.machine +
                        "': it is '" + instead + "'");
  plan_.machine = instead;
  return {};
}

Result<void> Attempt::plan() {
  plan_ = plan_machine(backup_.manifest, definition_of(backup_),
                       {static_cast<std::uint64_t>(settings_.boot_memory),
                        std::max(1U, std::thread::hardware_concurrency())});
  if (has_file(kLibvirtVariables)) {
    return Error(ErrorCode::kUnsupported,
                 "the machine is libvirt's and boots by UEFI: with which firmware is not known");
  }
  if (auto known = ask_about_qemu(); !known) return known;
  const bool has_kvm = ::access("/dev/kvm", R_OK | W_OK) == 0;
  if (settings_.boot_accelerator == "kvm" && !has_kvm) {
    return Error(ErrorCode::kUnsupported, "unable to use '/dev/kvm'")
        .with_hint("--boot-accelerator=tcg does without, and takes longer");
  }
  stand_.qemu = settings_.boot_qemu;
  stand_.kvm = has_kvm && settings_.boot_accelerator != "tcg";
  return check_host_files(plan_, stop_);
}

// All that the guest may write at the most has to fit in.
Result<void> Attempt::make_room() {
  auto directory = wire::PrivateDirectory::make(settings_.boot_directory, kPrefix);
  if (!directory) return std::move(directory).error();
  directory_.emplace(std::move(*directory));
  const auto room = repository::free_space(directory_->path());
  if (!room) return room.error();
  const auto limit = static_cast<std::uint64_t>(settings_.boot_space);
  std::uint64_t wanted = 0;
  for (const repository::DiskEntry& disk : backup_.manifest.disks)
    wanted += std::min(limit, disk.virtual_size);
  if (*room < wanted) {
    return Error(ErrorCode::kNoSpace, "'" + base::printable(settings_.boot_directory) + "' has " +
                                          base::format_bytes(*room) + ", the guest may write " +
                                          base::format_bytes(wanted))
        .with_hint("name another one with boot-directory, or set boot-space");
  }
  stand_.agent = directory_->path() + "/agent";
  if (stand_.agent.size() <= kLongestSocket) return {};
  return Error(ErrorCode::kConfiguration, "'" + base::printable(settings_.boot_directory) +
                                              "' is too long a path for a socket in it")
      .with_hint("name another one with boot-directory");
}

Result<void> Attempt::make_overlays(const std::vector<std::vector<image::Layer>>& layers) {
  image::QemuImg images(processes_, settings_.qemu_img);
  for (const PlannedDisk& disk : plan_.disks) {
    const repository::DiskEntry& entry = backup_.manifest.disks[disk.entry];
    std::string overlay = directory_->path() + "/" + entry.name + ".overlay";
    auto made = images.create_overlay(overlay, layers[disk.entry].front().path, "qcow2",
                                      entry.virtual_size, deadline_);
    if (!made) return made;
    stand_.images.push_back({std::move(overlay), layers[disk.entry]});
  }
  return {};
}

Trial Attempt::judged(const Machine& machine, Judgement judgement) {
  const bool failed = judgement.result == ProofResult::kFailed;
  judgement.notes.insert(judgement.notes.begin(), plan_.notes.begin(), plan_.notes.end());
  Json facts{{"reasons", judgement.reasons},
             {"notes", judgement.notes},
             {"duration_ms", millis_since(begin_)},
             {"boot_ms", boot_ms_},
             {"qemu", version_},
             {"accelerator", stand_.kvm ? "kvm" : "tcg"},
             {"machine", plan_.machine},
             {"memory_bytes", plan_.memory},
             {"guest", judgement.guest},
             {"console", failed ? Json(machine.console()) : Json()}};
  return {std::move(judgement), std::move(facts)};
}

std::optional<Error> Attempt::harmed(Machine& machine, const Error& error) {
  if (error.code() == ErrorCode::kCancelled || stop_.stop_requested()) return error;
  if (error.code() == ErrorCode::kProcessFailed) {
    return machine.end().as_error(settings_.boot_qemu);
  }
  if (error.code() == ErrorCode::kTimedOut || !machine.ends_soon()) return std::nullopt;
  const base::ProcessOutcome& outcome = machine.end();
  // The time was over, or the guest went down by itself.
  if (outcome.ending != base::ProcessOutcome::Ending::kSignalled) {
    if (outcome.ending == base::ProcessOutcome::Ending::kExited && outcome.status != 0) {
      return outcome.as_error(settings_.boot_qemu);
    }
    return std::nullopt;
  }
  if (outcome.status == SIGXFSZ) {
    return Error(ErrorCode::kTooLarge,
                 "the guest has written more to a disk than " +
                     base::format_bytes(static_cast<std::uint64_t>(settings_.boot_space)))
        .with_hint("set boot-space");
  }
  return outcome.as_error(settings_.boot_qemu);
}

Result<Trial> Attempt::run() {
  auto words = qemu_command(plan_, stand_);
  if (!words) return std::move(words).error();
  begin_ = std::chrono::steady_clock::now();
  Machine machine(processes_, std::move(*words), static_cast<std::uint64_t>(settings_.boot_space),
                  Deadline(deadline_.at() + kGrace));
  const auto failed = [&](const std::string& what, const Error& error) -> Result<Trial> {
    if (auto harm = harmed(machine, error); harm) return std::move(*harm);
    const bool down = machine.ended() && !deadline_.passed();
    const bool late = error.code() == ErrorCode::kTimedOut;
    return judged(
        machine, {ProofResult::kFailed,
                  {what + (late ? " within " + base::format_duration(settings_.boot_timeout) : "") +
                   ": " + (down ? "the guest went down by itself" : error.text())},
                  {},
                  nullptr});
  };
  auto agent = reach_channel(stand_.agent, machine, deadline_, stop_);
  if (!agent) return failed("it did not start", agent.error());
  if (auto up = await_agent(*agent, deadline_, stop_); !up) {
    return failed("it did not come up", up.error());
  }
  boot_ms_ = millis_since(begin_);
  const auto answer = ask_holdfast(*agent, deadline_, stop_);
  if (!answer) return failed("it booted, and its Holdfast gave no answer", answer.error());
  return judged(machine, judge(record_of(backup_), *answer));
}

Result<Trial> Attempt::make(const std::vector<std::vector<image::Layer>>& layers) {
  if (auto planned = plan(); !planned) return std::move(planned).error();
  if (auto room = make_room(); !room) return std::move(room).error();
  if (auto overlays = make_overlays(layers); !overlays) return std::move(overlays).error();
  return run();
}

}  // namespace

Result<Trial> try_backup(const Backup& backup, const std::vector<std::vector<image::Layer>>& layers,
                         const config::Settings& settings, base::ProcessRunner& processes,
                         const std::stop_token& stop) {
  return Attempt(backup, settings, processes, stop).make(layers);
}

}  // namespace holdfast::host::boot
