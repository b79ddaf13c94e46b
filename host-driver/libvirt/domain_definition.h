// SPDX-License-Identifier: MIT
//
// What a domain is, beside its disks: its definition as libvirt has it, and where its UEFI
// variables and the state of its TPM are to be copied from. They belong to files of libvirt's host;
// of another host nothing is taken that merely has the same name here.
//
// Threads: plain function.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "definition/definition.h"
#include "qmp/client.h"

namespace holdfast::host::libvirt {

// `tpm_state`: the administrator's word on where that is, or empty. Fails only if libvirt does not
// say what the domain is; all else that cannot be had is told in it.
[[nodiscard]] base::Result<definition::Definition> read_domain_definition(
    qmp::Client& bridge, const std::string& uri, const std::string& tpm_state,
    base::Deadline deadline);

}  // namespace holdfast::host::libvirt
