// SPDX-License-Identifier: MIT
//
// Is standard error a stream of systemd's journal? Then a line may say in front how grave it is,
// and 'journalctl -p warning' finds it (sd-daemon(3); systemd.exec(5), $JOURNAL_STREAM).
//
// Threads: any.
#pragma once

#include <string_view>

namespace holdfast::host::ui {

enum class Gravity { kError, kWarning, kNotice };

// "<3>" and the like, or nothing if standard error is something else.
[[nodiscard]] std::string_view journal_prefix(Gravity gravity);

// Is this the file that JOURNAL_STREAM, "DEVICE:INODE", speaks of?
[[nodiscard]] bool is_journal_stream(int fd, std::string_view stream);

}  // namespace holdfast::host::ui
