// SPDX-License-Identifier: MIT
//
// JSON from outside, bounded: size, depth and shape are checked before anything believes it.
// Everything else uses nlohmann::json directly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace holdfast::base {

using Json = nlohmann::ordered_json;

struct JsonLimits {
  std::size_t size = std::size_t{1} << 20U;
  std::size_t depth = 32;
  // Of one object. They are kept in order and looked for one after the other, so that reading an
  // object costs the square of their number.
  std::size_t members = 1000;
};

// kTooLarge beyond the limits, kProtocol if it is not JSON or not UTF-8.
[[nodiscard]] Result<Json> parse_json(std::string_view text, JsonLimits limits = {});

// A member of an object; kProtocol names the key if it is missing or of another type.
[[nodiscard]] Result<std::string> string_member(const Json& object, std::string_view key);
[[nodiscard]] Result<std::int64_t> integer_member(const Json& object, std::string_view key);
[[nodiscard]] Result<bool> bool_member(const Json& object, std::string_view key);
// Borrowed from `object`.
[[nodiscard]] Result<const Json*> object_member(const Json& object, std::string_view key);
[[nodiscard]] Result<const Json*> array_member(const Json& object, std::string_view key);

// One line, without anything that could move a cursor on a terminal: control characters, DEL and C1
// controls are escaped as \u00NN. Bytes that are not UTF-8 are replaced, so this never throws.
[[nodiscard]] std::string to_line(const Json& json);
// Two spaces of indent and a final newline, for files that people read.
[[nodiscard]] std::string to_document(const Json& json);

}  // namespace holdfast::base
