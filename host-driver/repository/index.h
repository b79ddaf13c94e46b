// SPDX-License-Identifier: MIT
//
// What earlier looks at a machine's backups have found, so that the next one need not open every
// manifest: "VM/.index", one line of JSON per backup behind a line of its own. It can go at any
// time, and is made anew.
//
// A line tells which manifest it was made of, and by what one knows that nothing has changed since:
// number, size and times of its file; likewise of its proof; and of the backup's directory, in
// which nothing comes, goes or is replaced without its times changing. The kernel's clock for those
// has ticks of some milliseconds, and other machines' of up to two seconds; a change in the very
// tick of the look would go unseen. So a line counts only if all that it tells of is older, by some
// seconds, than the look itself, by the clock of the filesystem on which all of it stands.
//
// Nothing here is trusted: a line is typed and bounded as a manifest is, what is no line of ours is
// no line, and nothing is ever removed for what a line says (prune.h).
//
// Threads: any; the file is replaced in one step, by whoever has just looked.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "repository/stamps.h"
#include "repository/summary.h"

namespace holdfast::host::repository {

// In a machine's directory. With a dot and six letters behind it while it is written.
inline constexpr std::string_view kIndexName = ".index";

// One line: a backup as it was when its stamps were taken. The summary's machine and directory do
// not stand in it.
struct IndexLine {
  Summary summary;
  Stamps stamps;
};

// In the order of their ids.
using Index = std::vector<IndexLine>;

[[nodiscard]] std::string format_line(const IndexLine& line);
// Nothing for what is no line of ours.
[[nodiscard]] std::optional<IndexLine> parse_line(std::string_view text);

// What counts of it; nothing where there is none, or none that can be read.
[[nodiscard]] Index read_index(const std::string& vm_directory);
// Tries to: without it, looking takes longer. `took` is how long ago the look began.
void write_index(const std::string& vm_directory, const Index& index, base::Millis took);

}  // namespace holdfast::host::repository
