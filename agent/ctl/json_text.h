// SPDX-License-Identifier: MIT
//
// Members of a document as text that may be shown; "-" for what is missing or of another type.
#pragma once

#include <string>

#include "base/json_codec.h"

namespace holdfast::ctl {

[[nodiscard]] std::string text_of(const base::Json& object, const char* key);
// Null if it is missing. Borrowed from `object`.
[[nodiscard]] const base::Json& member(const base::Json& object, const char* key);
// "binlog-file=binlog.000001 gtid=0-1-110" of a resource in a record.
[[nodiscard]] std::string position_of(const base::Json& resource);

}  // namespace holdfast::ctl
