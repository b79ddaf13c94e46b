// SPDX-License-Identifier: MIT
//
// Does anything start a backup by itself? systemd's enabled timers and cron's tables are looked at;
// what starts it in another way cannot be known.
#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "doctor/doctor.h"

namespace holdfast::host::doctor {

namespace {

constexpr std::size_t kTableLimit = std::size_t{1} << 20U;

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code problem;
  auto entry = std::filesystem::directory_iterator(directory, problem);
  for (; !problem && entry != std::filesystem::directory_iterator(); entry.increment(problem))
    names.push_back(entry->path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

bool is_our_timer(const std::string& name, const std::string& vm) {
  return name == "holdfast-backup-all.timer" || name == "holdfast-backup@" + vm + ".timer";
}

// A line that is no comment and runs 'holdfast backup' for all machines, or for this one.
bool has_our_line(const std::string& text, const std::string& vm) {
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    if (base::trimmed(line).starts_with('#')) continue;
    const std::size_t at = line.find("holdfast backup");
    if (at == std::string::npos) continue;
    if (line.find("--all", at) != std::string::npos) return true;
    if ((line + " ").find(" " + vm + " ", at) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

Findings check_schedule(const Patient& patient) {
  constexpr const char* kArea = "schedule";
  const std::string& vm = patient.settings.vm;
  const std::string wants = patient.root + "/etc/systemd/system/timers.target.wants";
  for (const std::string& name : names_in(wants)) {
    if (is_our_timer(name, vm)) return {{Level::kOk, kArea, "timer", name + " is enabled"}};
  }
  std::vector<std::string> tables{patient.root + "/etc/crontab",
                                  patient.root + "/var/spool/cron/crontabs/root"};
  for (const char* directory :
       {"/etc/cron.d", "/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly"}) {
    for (const std::string& name : names_in(patient.root + directory))
      tables.push_back(patient.root + directory + "/" + name);
  }
  for (const std::string& table : tables) {
    const auto text = base::read_file(table, kTableLimit);
    if (text && has_our_line(*text, vm)) {
      return {{Level::kOk, kArea, "cron",
               "'" + base::printable(table.substr(patient.root.size())) + "' starts it"}};
    }
  }
  return {{Level::kWarning, kArea, "not-scheduled",
           "no enabled systemd timer and no table of cron starts a backup of this machine",
           "systemctl enable --now holdfast-backup-all.timer; or see "
           "/usr/share/doc/holdfast-host/examples/cron.d"}};
}

}  // namespace holdfast::host::doctor
