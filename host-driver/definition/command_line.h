// SPDX-License-Identifier: MIT
//
// QEMU's command line, read as QEMU reads it: "-option" or "--option" and its value, a value being
// "key=value,key=value" with ",," for a comma inside, or a JSON object.
//
// Threads: plain functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace holdfast::host::definition {

using Words = std::vector<std::string>;

// "-object" for "--object" as well; empty for what is no option.
[[nodiscard]] std::string_view option_of(std::string_view word);

// "a=b,,c,d" as it stands: "a=b,,c" and "d".
[[nodiscard]] std::vector<std::string_view> pieces_of(std::string_view value);

// A comma for every two, and the other way round.
[[nodiscard]] std::string without_doubled_commas(std::string_view text);
[[nodiscard]] std::string with_doubled_commas(std::string_view text);

// The key's value in an option's value of either form; nothing if it is not there.
[[nodiscard]] std::optional<std::string> key_in(std::string_view value, std::string_view key);

// The values of an option, in their order.
[[nodiscard]] std::vector<std::string> values_of(const Words& words, std::string_view option);

}  // namespace holdfast::host::definition
