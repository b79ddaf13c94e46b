// SPDX-License-Identifier: MIT
//
// The keys of /etc/holdfast/host.conf and /etc/holdfast/vms.d/NAME.conf, and so the options of the
// command line that have the same names. One table, from which the parser, --print-config, --help
// and the test of the manual page are fed.
#pragma once

#include "base/options.h"

namespace holdfast::host::config {

// What may stand in host.conf, as the default of all machines, and in each machine's file.
[[nodiscard]] base::OptionTable common_options();
// What only makes sense for all of them together, in host.conf.
[[nodiscard]] base::OptionTable host_options();
// What only makes sense for one machine, in its file.
[[nodiscard]] base::OptionTable machine_options();
// What may stand in each of the files, and all of it: the options of the command line.
[[nodiscard]] base::OptionTable host_file_options();
[[nodiscard]] base::OptionTable machine_file_options();
[[nodiscard]] base::OptionTable all_options();

}  // namespace holdfast::host::config
