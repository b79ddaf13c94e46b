// SPDX-License-Identifier: MIT
//
// The guest agent, and what of Holdfast is in the guest. Questions alone: nothing is frozen.
#include <algorithm>
#include <array>

#include "base/text.h"
#include "doctor/doctor.h"
#include "qga/fsfreeze.h"
#include "run/channel.h"
#include "run/guest_record.h"

namespace holdfast::host::doctor {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;

namespace {

constexpr const char* kArea = "agent";
constexpr const char* kGuest = "guest";
constexpr const char* kDaemon = "/usr/sbin/holdfastd";
constexpr const char* kControlSocket = "/run/holdfast/control.sock";

constexpr std::array<std::string_view, 3> kToFreeze{"guest-fsfreeze-freeze",
                                                    "guest-fsfreeze-status", "guest-fsfreeze-thaw"};
constexpr std::array<std::string_view, 1> kToTrim{"guest-fstrim"};
constexpr std::array<std::string_view, 3> kForProof{"guest-file-open", "guest-file-read",
                                                    "guest-file-close"};

class Examination {
 public:
  Examination(const Patient& patient, qga::Agent& agent) : patient_(patient), agent_(agent) {}

  Findings run() {
    const auto info = ask("guest-info");
    if (!info) {
      add(silent(info.error()));
      return std::move(findings_);
    }
    look_at_commands(*info);
    if (look_at_state()) look_at_holdfast();
    return std::move(findings_);
  }

 private:
  void add(Finding finding) { findings_.push_back(std::move(finding)); }
  base::Result<Json> ask(std::string_view command, Json arguments = Json::object()) {
    return agent_.execute(command, std::move(arguments),
                          Deadline::in(patient_.settings.agent_timeout), patient_.stop);
  }

  static Finding silent(const Error& error) {
    return problem(kArea, "agent-silent", error,
                   "in the guest: systemctl status qemu-guest-agent; and has the machine a "
                   "virtserialport named org.qemu.guest_agent.0 ?");
  }

  // Empty if all of these can be called.
  template <std::size_t kCount>
  static std::string missing_of(const Json& info,
                                const std::array<std::string_view, kCount>& names) {
    const Json none = Json::array();
    const auto list = info.find("supported_commands");
    const Json& commands = list != info.end() && list->is_array() ? *list : none;
    std::string missing;
    for (const std::string_view name : names) {
      const bool there = std::any_of(commands.begin(), commands.end(), [&](const Json& command) {
        const auto own = base::string_member(command, "name");
        return own && *own == name && base::bool_member(command, "enabled").value_or(false);
      });
      if (!there) missing += (missing.empty() ? "" : ", ") + std::string(name);
    }
    return missing;
  }

  void look_at_commands(const Json& info) {
    const std::string version =
        base::printable(base::string_member(info, "version").value_or("of unknown version"), 40);
    const std::string frozen = missing_of(info, kToFreeze);
    const std::string proof = missing_of(info, kForProof);
    if (!frozen.empty()) {
      add({Level::kProblem, kArea, "fsfreeze-disabled",
           "qemu-ga " + version + " does not allow " + frozen + ": no guest can be frozen",
           "in the guest: look at --block-rpcs, --allow-rpcs or the configuration of qemu-ga"});
    }
    if (!proof.empty()) {
      add({patient_.settings.require == "application" ? Level::kProblem : Level::kWarning, kArea,
           "file-read-disabled",
           "qemu-ga " + version + " does not allow " + proof +
               ": the guest's freeze record cannot be fetched, and level application not be "
               "reached",
           "in the guest: allow these in the configuration of qemu-ga"});
    }
    const std::string trim = missing_of(info, kToTrim);
    const std::string& wanted = patient_.settings.trim;
    if (wanted != "no" && !trim.empty()) {
      add({wanted == "require" ? Level::kProblem : Level::kWarning, kArea, "fstrim-disabled",
           "qemu-ga " + version + " does not allow " + trim + ": nothing will be trimmed",
           "in the guest: allow it in the configuration of qemu-ga, or 'trim = no'"});
    }
    if (frozen.empty() && proof.empty()) {
      add({Level::kOk, kArea, "answers",
           "qemu-ga " + version + " answers, and allows all we need"});
    }
  }

  // False if there is no use in asking further.
  bool look_at_state() {
    const auto state =
        qga::freeze_state(agent_, Deadline::in(patient_.settings.agent_timeout), patient_.stop);
    if (!state) {
      add(problem(kArea, "no-freeze-state", state.error(),
                  "in the guest: restart qemu-guest-agent"));
      return false;
    }
    if (*state == qga::FreezeState::kThawed) return true;
    add({Level::kProblem, kArea, "frozen",
         "the guest is frozen at this moment: its programs hang, and a backup refuses to begin",
         "if no backup is at work: holdfast thaw " + patient_.settings.vm});
    return false;
  }

  // Does the guest have this, whatever it is? The agent has no call that only asks.
  bool has(const std::string& path) {
    const auto handle = ask("guest-file-open", {{"path", path}, {"mode", "r"}});
    if (handle) {
      (void)ask("guest-file-close", {{"handle", *handle}});
      return true;
    }
    // A socket cannot be opened (ENXIO).
    return handle.error().text().find("No such device or address") != std::string::npos;
  }

  void look_at_holdfast() {
    const Level level =
        patient_.settings.require == "application" ? Level::kProblem : Level::kWarning;
    if (!has(kDaemon)) {
      add({level, kGuest, "no-holdfastd",
           "there is no holdfastd in the guest: backups reach level filesystem at most",
           "install holdfast-agent and the plugins of its databases in the guest"});
      return;
    }
    if (!has(kControlSocket)) {
      add({level, kGuest, "holdfastd-not-running", "holdfastd is in the guest, but is not running",
           "in the guest: systemctl status holdfastd, and holdfastctl doctor"});
      return;
    }
    look_at_record();
  }

  void look_at_record() {
    const auto text =
        agent_.read_file(patient_.settings.guest_record, run::kRecordLimit,
                         Deadline::in(patient_.settings.agent_timeout), patient_.stop);
    if (!text && text.error().code() == ErrorCode::kNotFound) {
      return add({Level::kOk, kGuest, "holdfastd",
                  "holdfastd runs; it has not seen a freeze since the guest booted"});
    }
    const auto record =
        text ? run::parse_guest_record(*text) : base::Result<run::GuestRecord>(text.error());
    if (!record) {
      return add({Level::kWarning, kGuest, "record", record.error().text(),
                  "in the guest: holdfastctl report"});
    }
    if (record->state == "done" && record->code != "ok") {
      return add({Level::kWarning, kGuest, "last-freeze",
                  "the last freeze was not proven: " + record->code + ": " + record->text,
                  "in the guest: holdfastctl report, holdfastctl doctor"});
    }
    add({Level::kOk, kGuest, "holdfastd",
         "holdfastd runs, with " + std::to_string(record->resources.size()) +
             " resources at its last freeze"});
  }

  const Patient& patient_;
  qga::Agent& agent_;
  Findings findings_;
};

}  // namespace

Findings check_agent(const Patient& patient) {
  const config::Settings& settings = patient.settings;
  const wire::Endpoint endpoint = run::agent_endpoint(settings);
  // Of a machine that libvirt does not reach, that has been said.
  if (endpoint.empty() || (run::is_by_libvirt(settings) && !patient.disks)) return {};
  auto agent = qga::Agent::connect(endpoint, Deadline::in(settings.agent_timeout));
  if (!agent) {
    Finding finding = problem(kArea, "agent-socket", agent.error(),
                              "is the machine running, and is this the path of its chardev?");
    if (agent.error().code() == ErrorCode::kPermission) {
      finding.hint = "run this as root, or as a user who may open the socket";
    }
    return {std::move(finding)};
  }
  return Examination(patient, *agent).run();
}

}  // namespace holdfast::host::doctor
