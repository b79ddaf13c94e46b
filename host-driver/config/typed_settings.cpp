// SPDX-License-Identifier: MIT
#include "config/typed_settings.h"

#include "base/text.h"
#include "config/addresses.h"
#include "config/words.h"

namespace holdfast::host::config {

using base::Error;
using base::ErrorCode;
using base::Options;
using base::Result;

namespace {

std::string text_or_empty(const Options& options, std::string_view name) {
  return options.has(name) ? options.text(name) : std::string();
}

// The command under this key, its first word an absolute path.
Result<std::vector<std::string>> command_in(const Options& options, const std::string& key) {
  const auto wrong = [&](const std::string& why) {
    return Error(ErrorCode::kConfiguration, "the value of '" + key + "' is no command: " + why)
        .with_hint("'PATH ARGUMENT...', where quotes keep blanks; no shell reads it");
  };
  if (!options.has(key)) return std::vector<std::string>{};
  auto words = split_words(options.text(key));
  if (!words) return wrong(words.error().message());
  if (words->empty()) return wrong("it is empty");
  if (!words->front().starts_with('/')) {
    return wrong("'" + base::printable(words->front(), 100) + "' is no absolute path");
  }
  return words;
}

Result<void> add_commands(Settings& settings, const Options& options) {
  auto before = command_in(options, "pre-command");
  if (!before) return std::move(before).error();
  auto after = command_in(options, "post-command");
  if (!after) return std::move(after).error();
  settings.pre_command = std::move(*before);
  settings.post_command = std::move(*after);
  settings.command_timeout = options.duration("command-timeout");
  return {};
}

Result<void> add_notification(NotifySettings& notify, const Options& options) {
  auto command = command_in(options, "notify-command");
  if (!command) return std::move(command).error();
  auto mail = addresses_in(text_or_empty(options, "notify-mail"));
  if (!mail) return base::wrap(std::move(mail).error(), "the value of 'notify-mail' is wrong");
  notify.command = std::move(*command);
  notify.mail = std::move(*mail);
  notify.on = options.text("notify-on");
  notify.from = text_or_empty(options, "notify-from");
  if (!notify.from.empty()) {
    if (auto right = check_address(notify.from); !right) {
      return base::wrap(std::move(right).error(), "the value of 'notify-from' is wrong");
    }
  }
  notify.sendmail = options.text("notify-sendmail");
  notify.timeout = options.duration("notify-timeout");
  return {};
}

KeepRules keep_rules(const Options& options, const std::string& prefix) {
  return {options.integer(prefix + "last"),    options.integer(prefix + "hourly"),
          options.integer(prefix + "daily"),   options.integer(prefix + "weekly"),
          options.integer(prefix + "monthly"), options.integer(prefix + "yearly")};
}

Settings typed(const std::string& vm, const Options& options) {
  Settings settings;
  settings.vm = vm;
  settings.enabled = options.flag("enabled");
  settings.group = text_or_empty(options, "group");
  settings.parallel = static_cast<int>(options.integer("parallel"));
  settings.parallel_archives = static_cast<int>(options.integer("parallel-archives"));
  settings.qmp = text_or_empty(options, "qmp");
  settings.agent = text_or_empty(options, "agent");
  settings.uri = text_or_empty(options, "uri");
  settings.domain = text_or_empty(options, "domain");
  settings.libvirt_program = options.text("libvirt-program");
  settings.tpm_state = text_or_empty(options, "tpm-state");
  settings.repository = text_or_empty(options, "repository");
  settings.state_directory = options.text("state-directory");
  settings.method = options.text("method");
  settings.memory = options.text("memory");
  settings.memory_timeout = options.duration("memory-timeout");
  settings.incremental = options.flag("incremental");
  settings.full_every = static_cast<int>(options.integer("full-every"));
  settings.rate_limit = options.has("rate-limit") ? options.size("rate-limit") : 0;
  settings.compress = options.text("compress");
  settings.trim = options.text("trim");
  settings.trim_timeout = options.duration("trim-timeout");
  settings.require = options.text("require");
  settings.prefer = options.text("prefer");
  settings.freeze_timeout = options.duration("freeze-timeout");
  settings.thaw_timeout = options.duration("thaw-timeout");
  settings.snapshot_timeout = options.duration("snapshot-timeout");
  settings.agent_timeout = options.duration("agent-timeout");
  settings.qmp_timeout = options.duration("qmp-timeout");
  settings.copy_timeout = options.duration("copy-timeout");
  settings.settle_timeout = options.duration("settle-timeout");
  settings.overlay_directory = text_or_empty(options, "overlay-directory");
  settings.btrfs_send = options.flag("btrfs-send");
  settings.overlay_reserve = static_cast<int>(options.integer("overlay-reserve"));
  settings.guest_record = options.text("guest-record");
  settings.metrics_directory = text_or_empty(options, "metrics-directory");
  settings.qemu_img = options.text("qemu-img");
  settings.qemu_storage_daemon = options.text("qemu-storage-daemon");
  settings.boot_qemu = options.text("boot-qemu");
  settings.boot_accelerator = options.text("boot-accelerator");
  settings.boot_directory = options.text("boot-directory");
  settings.boot_memory = options.size("boot-memory");
  settings.boot_space = options.size("boot-space");
  settings.boot_timeout = options.duration("boot-timeout");
  settings.keep = keep_rules(options, "keep-");
  settings.snapshot_method = options.text("snapshot-method");
  settings.snapshot_keep = keep_rules(options, "snapshot-keep-");
  settings.printed = options.print();
  return settings;
}

// "nspawn:web", "lxc:web".
Result<void> add_container(Settings& settings, const Options& options) {
  const std::string text = text_or_empty(options, "container");
  if (!options.has("container")) return {};
  const std::size_t colon = text.find(':');
  const std::string manager = text.substr(0, colon);
  const std::string name = colon == std::string::npos ? "" : text.substr(colon + 1);
  if ((manager == "nspawn" || manager == "lxc") && base::is_plain_name(name)) {
    settings.container = {manager, name};
    return {};
  }
  return Error(ErrorCode::kConfiguration, "'" + base::printable(text, 100) + "' is no container")
      .with_hint("container = nspawn:NAME, or lxc:NAME");
}

// One way to the machine, not two.
Result<void> check_channel(const Settings& settings) {
  if (!settings.container.empty()) {
    for (const std::string* other :
         {&settings.qmp, &settings.agent, &settings.uri, &settings.domain, &settings.tpm_state}) {
      if (other->empty()) continue;
      return Error(ErrorCode::kConfiguration, "'container' is set for '" + settings.vm +
                                                  "', and so is what only a machine has")
          .with_hint("a container has no 'qmp', 'agent', 'uri', 'domain' or 'tpm-state'");
    }
    if (settings.group.empty()) return {};
    return Error(ErrorCode::kConfiguration,
                 "'container' and 'group' are set for '" + settings.vm + "'")
        .with_hint("a consistency group is one of machines");
  }
  if (settings.uri.empty()) {
    if (settings.domain.empty()) return {};
    return Error(ErrorCode::kConfiguration,
                 "'domain' is set for '" + settings.vm + "', 'uri' is not")
        .with_hint("uri = qemu:///system");
  }
  for (const std::string* path : {&settings.qmp, &settings.agent}) {
    if (path->empty()) continue;
    return Error(ErrorCode::kConfiguration,
                 "'uri' and 'qmp' or 'agent' are set for '" + settings.vm + "'")
        .with_hint("with libvirt, QEMU's sockets belong to it");
  }
  return {};
}

}  // namespace

Result<Settings> typed_settings(const std::string& vm, const Options& options) {
  Settings settings = typed(vm, options);
  if (auto added = add_commands(settings, options); !added) return std::move(added).error();
  if (auto added = add_notification(settings.notify, options); !added) {
    return std::move(added).error();
  }
  if (!settings.group.empty() && !base::is_plain_name(settings.group)) {
    return Error(ErrorCode::kConfiguration,
                 "'" + base::printable(settings.group, 64) + "' is not the name of a group")
        .with_hint("letters, digits, '.', '_' and '-'");
  }
  if (auto added = add_container(settings, options); !added) return std::move(added).error();
  if (auto one = check_channel(settings); !one) return std::move(one).error();
  return settings;
}

}  // namespace holdfast::host::config
