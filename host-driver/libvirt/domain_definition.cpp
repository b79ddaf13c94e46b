// SPDX-License-Identifier: MIT
#include "libvirt/domain_definition.h"

#include <algorithm>

#include "base/text.h"
#include "definition/tpm_state.h"
#include "libvirt/domain.h"

namespace holdfast::host::libvirt {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;
using definition::Definition;
using definition::TpmPlace;

namespace {

std::string directory_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

// Where a disk's overlay was made here and found there (OverlayStrategy), both see one directory;
// of any other file nothing tells that it is the one there.
bool is_beside_a_disk(const DomainDisks& disks, const std::string& path) {
  return std::any_of(disks.disks.begin(), disks.disks.end(), [&](const DomainDisk& disk) {
    return disk.skip.empty() && !disk.chain.empty() &&
           directory_of(disk.top()) == directory_of(path);
  });
}

void find_variables(const Domain& domain, const std::string& remote, Definition& definition) {
  const auto lack = [&](const std::string& reason) {
    definition.lacking.push_back("without the UEFI variables: " + reason);
  };
  if (!domain.nvram_problem.empty()) return lack(domain.nvram_problem);
  if (domain.nvram.empty()) return;
  if (!remote.empty() && !is_beside_a_disk(domain.disks, domain.nvram)) {
    return lack("they are on '" + base::printable(remote) + "'");
  }
  definition.files.push_back({"nvram.fd", "UEFI variables", {}, domain.nvram});
}

Result<TpmPlace> place_of(const DomainTpm& tpm, const Domain& domain, const std::string& uri,
                          const std::string& remote) {
  if (tpm.backend != "emulator") {
    const bool external = tpm.backend == "external";
    return Error(ErrorCode::kUnsupported,
                 "it is of type '" + base::printable(tpm.backend, 40) + "', and " +
                     (external ? "its emulator is not libvirt's" : "belongs to the host"))
        .with_hint(external ? "set tpm-state to the directory" : "");
  }
  if (!remote.empty()) {
    return Error(ErrorCode::kUnsupported, "it is on '" + base::printable(remote) + "'")
        .with_hint("run holdfast there");
  }
  TpmPlace place{.engine = "swtpm", .found_by = "libvirt"};
  if (!tpm.file.empty()) {
    place.directory = directory_of(tpm.file);
    place.file = tpm.file.substr(tpm.file.rfind('/') + 1);
    return place;
  }
  if (!tpm.directory.empty()) {
    place.directory = tpm.directory;
    return place;
  }
  const bool session = uri.find("/session") != std::string::npos;
  return definition::find_libvirt_tpm(session, domain.uuid);
}

void find_tpm(const Domain& domain, const std::string& uri, const std::string& remote,
              const std::string& told, Definition& definition) {
  if (told.empty() && !domain.tpm) return;
  auto place = told.empty() ? place_of(*domain.tpm, domain, uri, remote)
                            : Result<TpmPlace>(definition::tpm_at(told));
  if (!place) {
    definition.lacking.push_back("without the state of the TPM: " + place.error().one_line());
    return;
  }
  place->encrypted = domain.tpm && domain.tpm->encrypted;
  definition.tpm = std::move(*place);
}

}  // namespace

Result<Definition> read_domain_definition(qmp::Client& bridge, const std::string& uri,
                                          const std::string& tpm_state, Deadline deadline) {
  auto domain = read_domain(bridge, deadline);
  if (!domain) return std::move(domain).error();
  Definition definition;
  definition.about = {{"channel", "libvirt"},       {"uri", uri},
                      {"domain", domain->name},     {"uuid", domain->uuid},
                      {"libvirt", domain->libvirt}, {"tpm", domain->tpm.has_value()},
                      {"files", Json::array()}};
  definition.files.push_back(
      {"domain.xml", "definition for the next start", std::move(domain->inactive_xml), {}});
  definition.files.push_back(
      {"domain-running.xml", "definition of the running machine", std::move(domain->live_xml), {}});
  const std::string remote = remote_host(uri);
  find_variables(*domain, remote, definition);
  find_tpm(*domain, uri, remote, tpm_state, definition);
  return definition;
}

}  // namespace holdfast::host::libvirt
