// SPDX-License-Identifier: MIT
//
// How far a replica has applied each of its sources, out of SHOW ALL SLAVES STATUS (MariaDB), SHOW
// REPLICA STATUS (MySQL from 8.0.22 on) or SHOW SLAVE STATUS. The columns differ in name only.
#pragma once

#include "api/hold.h"
#include "mysql/mysql_connection.h"

namespace holdfast::mysql {

// For each source: "source-file" and "source-position" (the coordinates in the source's own binary
// log up to which everything is applied), and "source-host". A named connection or channel has its
// name behind the key: "source-file[paris]".
[[nodiscard]] api::Position applied_sources_of(const Table& status);

}  // namespace holdfast::mysql
