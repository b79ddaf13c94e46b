// SPDX-License-Identifier: MIT
//
// Will anybody hear of it? The programs that tell of a run's outcome are looked at, and not run.
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "doctor/doctor.h"

namespace holdfast::host::doctor {

namespace {

constexpr const char* kArea = "notification";

bool is_program(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         ::access(path.c_str(), X_OK) == 0;
}

std::string joined(const std::vector<std::string>& addresses) {
  std::string text;
  for (const std::string& address : addresses)
    text += (text.empty() ? "" : ", ") + address;
  return text;
}

}  // namespace

Findings check_notification(const Patient& patient) {
  const config::NotifySettings& notify = patient.settings.notify;
  Findings findings;
  if (!notify.mail.empty() && !is_program(notify.sendmail)) {
    findings.push_back({Level::kWarning, kArea, "no-sendmail",
                        "'" + base::printable(notify.sendmail) +
                            "' is no program that can be run: nobody is told by mail",
                        "install a mail transfer agent, or set notify-sendmail"});
  }
  if (!notify.command.empty() && !is_program(notify.command.front())) {
    findings.push_back({Level::kWarning, kArea, "no-notify-command",
                        "notify-command '" + base::printable(notify.command.front()) +
                            "' is no program that can be run",
                        "make it one, or correct the key"});
  }
  if (!findings.empty() || !notify.wanted()) return findings;
  std::string text = "on " + notify.on + ": ";
  if (!notify.mail.empty()) text += "mail to " + joined(notify.mail);
  if (!notify.command.empty()) {
    text += (notify.mail.empty() ? "'" : ", and '") + base::printable(notify.command.front()) + "'";
  }
  findings.push_back({Level::kOk, kArea, "notification", text});
  return findings;
}

}  // namespace holdfast::host::doctor
