// SPDX-License-Identifier: MIT
#include "config/options.h"

namespace holdfast::host::config {

using base::OptionSpec;
using base::OptionTable;
using base::OptionType;

namespace {

constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kHour = 3600 * kSecond;
constexpr std::int64_t kKiB = 1024;
constexpr std::int64_t kTiB = kKiB * kKiB * kKiB * kKiB;

OptionSpec path(const char* name, std::optional<std::string> value, const char* help) {
  return {.name = name, .type = OptionType::kPath, .default_value = std::move(value), .help = help};
}

OptionSpec text(const char* name, std::optional<std::string> value, const char* help) {
  return {.name = name, .type = OptionType::kText, .default_value = std::move(value), .help = help};
}

OptionSpec optional_text(const char* name, const char* help) {
  return {.name = name, .type = OptionType::kText, .help = help};
}

OptionSpec flag(const char* name, const char* value, const char* help) {
  return {.name = name, .type = OptionType::kBool, .default_value = value, .help = help};
}

struct Range {
  std::int64_t least;
  std::int64_t most;
};

OptionSpec within(OptionType type, const char* name, const char* value, Range range,
                  const char* help) {
  return {.name = name,
          .type = type,
          .default_value = value,
          .help = help,
          .least = range.least,
          .most = range.most};
}

OptionSpec duration(const char* name, const char* value, Range range, const char* help) {
  return within(OptionType::kDuration, name, value, range, help);
}

OptionSpec size(const char* name, const char* value, Range range, const char* help) {
  return within(OptionType::kSize, name, value, range, help);
}

OptionSpec integer(const char* name, const char* value, Range range, const char* help) {
  return within(OptionType::kInteger, name, value, range, help);
}

OptionSpec keep(const char* name, const char* help) {
  return integer(name, "0", {0, 100000}, help);
}

OptionSpec choice(const char* name, const char* value, std::vector<std::string> choices,
                  const char* help) {
  return {.name = name,
          .type = OptionType::kChoice,
          .default_value = value,
          .help = help,
          .choices = std::move(choices)};
}

OptionTable joined(OptionTable table, const OptionTable& more) {
  table.insert(table.end(), more.begin(), more.end());
  return table;
}

}  // namespace

OptionTable common_options() {
  const std::vector<std::string> levels{"crash", "filesystem", "application"};
  return {
      path("repository", std::nullopt, "directory of the backups"),
      path("state-directory", "/var/lib/holdfast-host", "locks and journals of runs"),
      choice("method", "overlay", {"overlay", "backup", "btrfs", "lvm", "reflink", "checkpoint"},
             "how the instant is taken"),
      choice("memory", "auto", {"auto", "live", "stopped"},
             "checkpoint: is the memory saved while the machine runs"),
      duration("memory-timeout", "2min", {kSecond, kHour},
               "checkpoint, snapshot: how long the machine may stand still for its memory"),
      flag("incremental", "yes", "copy only what has changed since the latest backup"),
      integer("full-every", "30", {1, 100}, "one of this many backups in a row is a full one"),
      {.name = "rate-limit",
       .type = OptionType::kSize,
       .help = "copy no more than this per second; default: no limit",
       .least = 64 * kKiB,
       .most = kTiB},
      choice("compress", "zstd", {"none", "zstd"}, "how the copies are compressed"),
      choice("trim", "no", {"no", "yes", "require"}, "guest-fstrim before the freeze"),
      duration("trim-timeout", "10min", {kSecond, 24 * kHour}, "how long guest-fstrim may take"),
      choice("require", "filesystem", levels, "below this level the run fails"),
      choice("prefer", "application", levels, "below this level the exit status is 3"),
      duration("freeze-timeout", "30s", {kSecond, kHour}, "how long the guest may take to freeze"),
      duration("thaw-timeout", "30s", {kSecond, kHour}, "how long the guest may take to thaw"),
      duration("snapshot-timeout", "10s", {kSecond / 10, kHour},
               "how long the transaction may take"),
      duration("agent-timeout", "5s", {kSecond / 10, kHour}, "any other answer of the guest agent"),
      duration("qmp-timeout", "10s", {kSecond / 10, kHour}, "any other answer of QEMU"),
      duration("copy-timeout", "24h", {kSecond, 240 * kHour}, "copying one disk"),
      duration("settle-timeout", "2h", {kSecond, 240 * kHour}, "committing the overlays"),
      path("overlay-directory", std::nullopt, "where overlays stand; default: beside each image"),
      integer("overlay-reserve", "10", {0, 100},
              "free space wanted for overlays, in percent of the disks"),
      flag("btrfs-send", "no", "method btrfs: send the images to a repository on btrfs"),
      path("guest-record", "/run/holdfast/last.json", "the guest's freeze record, in the guest"),
      path("metrics-directory", std::nullopt, "where a file for the node exporter is written"),
      text("qemu-img", "qemu-img", "the qemu-img program"),
      optional_text("pre-command", "what is run before the freeze; if it fails, so does the run"),
      optional_text("post-command", "what is run after the run, whatever came of it"),
      duration("command-timeout", "10min", {kSecond, 24 * kHour},
               "how long pre-command and post-command may take"),
      text("qemu-storage-daemon", "qemu-storage-daemon", "the program that serves an export"),
      text("boot-qemu", "qemu-system-x86_64", "the QEMU of 'verify --boot'"),
      choice("boot-accelerator", "auto", {"auto", "kvm", "tcg"}, "what its machine runs by"),
      size("boot-memory", "1GiB", {64 * kKiB * kKiB, kTiB}, "how much memory it has at the most"),
      size("boot-space", "4GiB", {kKiB * kKiB, kTiB}, "how much it may write to each disk"),
      path("boot-directory", "/var/tmp", "where it writes to"),
      duration("boot-timeout", "10min", {kSecond, 24 * kHour},
               "how long it may take to boot and answer"),
      path("libvirt-program", "/usr/lib/holdfast/holdfast-libvirt",
           "the program between holdfast and libvirt"),
      keep("keep-last", "keep this many of the newest backups"),
      keep("keep-hourly", "keep the newest of this many hours"),
      keep("keep-daily", "keep the newest of this many days"),
      keep("keep-weekly", "keep the newest of this many weeks"),
      keep("keep-monthly", "keep the newest of this many months"),
      keep("keep-yearly", "keep the newest of this many years"),
      choice("snapshot-method", "internal", {"internal", "overlay", "btrfs"},
             "where restore points are: inside the images, or beside them"),
      keep("snapshot-keep-last", "the same rules for restore points"),
      keep("snapshot-keep-hourly", "likewise"),
      keep("snapshot-keep-daily", "likewise"),
      keep("snapshot-keep-weekly", "likewise"),
      keep("snapshot-keep-monthly", "likewise"),
      keep("snapshot-keep-yearly", "likewise"),
  };
}

OptionTable host_options() {
  return {
      integer("parallel", "2", {1, 64}, "how many machines are backed up side by side"),
      integer("parallel-archives", "1", {1, 64},
              "how many containers are archived side by side, whoever began it"),
      optional_text("notify-mail", "who is told of the outcome by mail: ADDRESS[, ADDRESS...]"),
      optional_text("notify-command", "what is told of the outcome, as JSON on standard input"),
      choice("notify-on", "warning", {"failure", "warning", "change", "always"},
             "from which outcome on they are told, and of the first good one after it"),
      optional_text("notify-from", "the sender of these mails; default: root at this host"),
      path("notify-sendmail", "/usr/sbin/sendmail", "the program that takes the mail"),
      duration("notify-timeout", "30s", {kSecond, kHour}, "how long telling may take, each way"),
  };
}

OptionTable machine_options() {
  return {
      flag("enabled", "yes", "is the machine among those of --all"),
      optional_text("group", "the consistency group it belongs to, see --group"),
      path("qmp", std::nullopt, "QEMU's monitor socket"),
      path("agent", std::nullopt, "the guest agent's socket"),
      text("uri", std::nullopt, "libvirt's URI, in place of the two sockets"),
      optional_text("container", "it is a container: nspawn:NAME or lxc:NAME"),
      text("domain", std::nullopt, "the machine's name or UUID there; default: its name here"),
      path("tpm-state", std::nullopt, "the directory of its TPM's state; default: found"),
  };
}

OptionTable host_file_options() {
  return joined(host_options(), common_options());
}

OptionTable machine_file_options() {
  return joined(machine_options(), common_options());
}

OptionTable all_options() {
  return joined(machine_options(), host_file_options());
}

}  // namespace holdfast::host::config
