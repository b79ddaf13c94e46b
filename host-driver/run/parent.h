// SPDX-License-Identifier: MIT
//
// On what a run's increments would stand: asked by the run itself, and by the doctor, who wants to
// know what the next one costs.
//
// Threads: plain function.
#pragma once

#include "config/settings.h"
#include "repository/repository.h"
#include "snapshot/increment.h"

namespace holdfast::host::run {

// `latest` is the newest backup of the machine; its images are looked at, and not read.
[[nodiscard]] snapshot::Parent parent_in(const config::Settings& settings,
                                         const repository::Repository& repository,
                                         const repository::Backup& latest);

}  // namespace holdfast::host::run
