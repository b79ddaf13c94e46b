// SPDX-License-Identifier: MIT
//
// What monitoring should know of the runs of one machine, in a file for the textfile collector of
// the Prometheus node exporter: "holdfast_VM.prom", in the text format of Prometheus. A run that
// failed keeps what the file says of the last success.
//
// Threads: any; the file is replaced in one step, so that a reader sees the old or the new one.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "command/run_report.h"

namespace holdfast::host::command {

struct RunTime {
  base::WallTime begin;
  base::WallTime end;
};

// `previous`: the file of the run before, of which nothing is believed but whole lines of ours.
[[nodiscard]] std::string metrics_text(const RunReport& report, RunTime time,
                                       std::string_view previous);
// kIo and the like; the old file stays then.
[[nodiscard]] base::Result<void> write_metrics(const std::string& directory,
                                               const RunReport& report, RunTime time);

}  // namespace holdfast::host::command
