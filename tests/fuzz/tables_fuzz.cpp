// SPDX-License-Identifier: MIT
//
// JSON from outside (base/json_codec.h), and what holdfastctl makes of it on a terminal
// (agent/ctl/tables.h).
#include "base/json_codec.h"
#include "base/text.h"
#include "ctl/tables.h"
#include "fuzz.h"

namespace holdfast::fuzz {

namespace {

using base::ErrorCode;
using base::Json;

constexpr base::JsonLimits kLimits{64'000, 12};

void check_lines(std::string_view text) {
  require(text.ends_with('\n'), "a table ends with a line");
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    // Columns are cut and filled by bytes, so a character may be broken; nothing else may.
    for (const char c : text.substr(0, end))
      require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F, "no control characters");
    text.remove_prefix(end + 1);
  }
}

std::size_t depth_of(const Json& json) {
  std::size_t deepest = 0;
  if (!json.is_structured()) return 0;
  for (const Json& member : json)
    deepest = std::max(deepest, depth_of(member));
  return deepest + 1;
}

}  // namespace

void check(std::string_view input) {
  const auto json = base::parse_json(input, kLimits);
  if (!json) {
    const ErrorCode code = json.error().code();
    require(code == ErrorCode::kTooLarge || code == ErrorCode::kProtocol, "it says which");
    require(is_one_safe_line(json.error().one_line()), "the error is one safe line");
    return;
  }
  require(depth_of(*json) <= kLimits.depth, "it is no deeper than allowed");
  const std::string line = base::to_line(*json);
  const auto again = base::parse_json(line, {line.size(), kLimits.depth});
  require(again && base::to_line(*again) == line, "it is read back as it was written");
  for (const char* key : {"window", "begin", "resources", "status"}) {
    const auto text = base::string_member(*json, key);
    const auto number = base::integer_member(*json, key);
    require(!text || !number, "a member is of one kind");
    require(text || is_one_safe_line(text.error().one_line()), "the error is one safe line");
  }
  check_lines(ctl::status_text(*json));
  check_lines(ctl::report_text(*json));
}

}  // namespace holdfast::fuzz
