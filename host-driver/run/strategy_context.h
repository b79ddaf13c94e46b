// SPDX-License-Identifier: MIT
//
// What the settings say to every strategy, whoever asks one: a run, the clearing up after another,
// the doctor. Where one of them left something out, what a method keeps would be taken for a
// leftover.
//
// Threads: plain function. Ownership: the context borrows what it is given.
#pragma once

#include <string>

#include "config/settings.h"
#include "image/qemu_img.h"
#include "qmp/client.h"
#include "snapshot/journal.h"
#include "snapshot/strategy.h"

namespace holdfast::host::run {

// `run` names what is made. Without a tag and a backup's id: no increment, and no bitmap.
[[nodiscard]] snapshot::StrategyContext strategy_context(const config::Settings& settings,
                                                         qmp::Client& monitor,
                                                         image::QemuImg& images,
                                                         snapshot::JournalFile& journal,
                                                         std::string run);

}  // namespace holdfast::host::run
