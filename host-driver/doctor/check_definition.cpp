// SPDX-License-Identifier: MIT
//
// What of the machine itself a backup will keep beside its disks. It is read as a run reads it, and
// forgotten.
#include <algorithm>

#include "base/text.h"
#include "definition/gather.h"
#include "doctor/doctor.h"
#include "repository/manifest.h"
#include "run/channel.h"

namespace holdfast::host::doctor {

namespace {

constexpr const char* kArea = "definition";

// "definition, UEFI variables, TPM state"
std::string kinds_of(const std::vector<definition::DefinitionFile>& files) {
  std::vector<std::string> kinds;
  for (const definition::DefinitionFile& file : files) {
    if (std::find(kinds.begin(), kinds.end(), file.what) == kinds.end()) kinds.push_back(file.what);
  }
  std::string text;
  for (const std::string& kind : kinds)
    text += (text.empty() ? "" : ", ") + kind;
  return text;
}

}  // namespace

void look_at_definition(const Patient& patient, qmp::Client& monitor, Findings& findings) {
  auto kept = run::read_definition(patient.settings, monitor);
  if (!kept) {
    findings.push_back(problem(kArea, "unreadable", kept.error(),
                               "a run would end here: look at what the message names"));
    return;
  }
  definition::gather(*kept, repository::kLargestFile);
  for (const std::string& line : kept->lacking) {
    findings.push_back({Level::kWarning, kArea, "lacking", base::printable(line, 400),
                        "the disks are saved all the same; see RESTORING A WHOLE MACHINE in "
                        "holdfast(1)"});
  }
  findings.push_back(
      {Level::kOk, kArea, "kept", "a backup keeps, beside the disks: " + kinds_of(kept->files)});
}

}  // namespace holdfast::host::doctor
