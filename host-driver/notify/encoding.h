// SPDX-License-Identifier: MIT
//
// How a text becomes part of a mail: RFC 2047's encoded words in a header, RFC 2045's
// quoted-printable in a body, and lines that a person reads.
//
// Threads: plain functions. The texts are printable and UTF-8: base::printable has seen them.
#pragma once

#include <string>
#include <string_view>

namespace holdfast::host::notify {

// The value of an unstructured header as it stands behind "Name: ", folded, so that no line of it
// is longer than 76; what is not plain ASCII, or would be taken for encoded, in encoded words.
[[nodiscard]] std::string header_value(std::string_view name, std::string_view text);

// No line longer than 76, all of it ASCII; what ends a line here ends one there.
[[nodiscard]] std::string quoted_printable(std::string_view body);

// Can it go as it is: ASCII, no line longer than 78, none that begins with "From "?
[[nodiscard]] bool is_plain(std::string_view body);

// The words of a text in lines of at most 76 columns, each begun with so many blanks; a longer word
// has a line of its own and stays whole, so that a path can be copied.
[[nodiscard]] std::string wrapped(std::string_view text, std::size_t indent);

}  // namespace holdfast::host::notify
