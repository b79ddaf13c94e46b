// SPDX-License-Identifier: MIT
//
// Base64 (RFC 4648, section 4), as guest-file-read carries file contents.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace holdfast::host::qga {

// kProtocol for anything that is not padded Base64 throughout.
[[nodiscard]] base::Result<std::string> decode_base64(std::string_view text);

}  // namespace holdfast::host::qga
