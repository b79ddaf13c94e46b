// SPDX-License-Identifier: MIT
//
// What holdfast-execd has to say, on standard error, with the level prefix that the journal reads
// (sd-daemon(3)). A line that would block is dropped: the journal may be on a frozen filesystem.
//
// Threads: any.
#pragma once

#include <string>

namespace holdfast::exec {

enum class JournalLevel { kError = 3, kWarning = 4, kInfo = 6 };

void journal_line(JournalLevel level, const std::string& text);

}  // namespace holdfast::exec
