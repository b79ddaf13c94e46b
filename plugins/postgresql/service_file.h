// SPDX-License-Identifier: MIT
//
// libpq's connection service file, read for it: libpq takes the file's name from the environment
// alone, which all resources of the daemon share, and it does not look whether others may read a
// password that stands in it.
//
//   # a comment
//   [shop]
//   host=10.0.0.7
//   user=holdfast
//
// Threads: any.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace holdfast::postgresql {

// Debian's, which libpq is built with.
inline constexpr const char* kSystemServiceFile = "/etc/postgresql-common/pg_service.conf";

// Keywords and values of one service. kNotFound if the file or the service is not there,
// kConfiguration with file and line for what libpq would not take, kPermission for a file with a
// password that is open to others.
[[nodiscard]] base::Result<std::vector<std::pair<std::string, std::string>>> read_service(
    const std::string& path, const std::string& service);

}  // namespace holdfast::postgresql
