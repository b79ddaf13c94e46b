// SPDX-License-Identifier: MIT
//
// The mail addresses of the configuration: of RFC 5322's addr-spec what people have, "name" and
// "name@domain" of its atoms. Nothing of it means anything to a mail's header or to a command line.
//
// Threads: plain values. Errors: kConfiguration.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace holdfast::host::config {

[[nodiscard]] base::Result<void> check_address(std::string_view address);
// "a@x, b@y" and "a@x b@y"; none in an empty text.
[[nodiscard]] base::Result<std::vector<std::string>> addresses_in(std::string_view text);

}  // namespace holdfast::host::config
