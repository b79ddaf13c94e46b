// SPDX-License-Identifier: MIT
//
// Text from outside made safe to show, and numbers made readable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::base {

// The text with everything that could move a cursor, end a line or start an escape sequence shown
// as \xNN: control characters, DEL, C1 controls, and bytes that are not UTF-8. At most `limit`
// bytes are kept; "…" stands for the rest. Every text from a guest, a server or a file passes
// through here before it reaches a terminal, a log or an error.
[[nodiscard]] std::string printable(std::string_view text, std::size_t limit = 400);

// 'text', printable: how errors name paths and what others said.
[[nodiscard]] std::string in_quotes(std::string_view text);

// Of a path: what stands before its last slash; "/" for what is in the root, "." where there is no
// slash.
[[nodiscard]] std::string directory_of(std::string_view path);

// "1.4 GiB": three significant figures, binary units.
[[nodiscard]] std::string format_bytes(std::uint64_t bytes);

// Without the blanks (space, tab, CR, LF) at both ends.
[[nodiscard]] std::string_view trimmed(std::string_view text);

// Is this a name that may become a file name: 1 to 64 of letters, digits, '.', '_', '-', the first
// a letter or a digit? Whatever comes from a command line, a guest or a manifest and ends up in a
// path is asked this first.
[[nodiscard]] bool is_plain_name(std::string_view name);

}  // namespace holdfast::base
