// SPDX-License-Identifier: MIT
//
// As metrics.h, of verify --boot: "holdfast-proof_VM.prom", a name that no machine's backups have.
//
// Threads: any; the file is replaced in one step.
#pragma once

#include <string>
#include <string_view>

#include "command/metrics.h"
#include "repository/proof.h"

namespace holdfast::host::command {

// `previous`: the file of the time before, of which nothing is believed but whole lines of ours.
[[nodiscard]] std::string proof_metrics_text(const std::string& vm, const repository::Proof& proof,
                                             RunTime time, std::string_view previous);
// kIo and the like; the old file stays then.
[[nodiscard]] base::Result<void> write_proof_metrics(const std::string& directory,
                                                     const std::string& vm,
                                                     const repository::Proof& proof, RunTime time);

}  // namespace holdfast::host::command
