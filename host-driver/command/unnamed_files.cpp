// SPDX-License-Identifier: MIT
#include "command/unnamed_files.h"

#include <utility>

#include "repository/paths.h"

namespace holdfast::host::command {

using base::Result;

void UnnamedFiles::add(PartialFile file) {
  auto flushing =
      std::async(std::launch::async, [path = file.path()] { return repository::flush_file(path); });
  files_.push_back({std::move(file), std::move(flushing)});
}

Result<void> UnnamedFiles::name_all(FreshFiles& fresh) {
  for (One& one : files_)
    if (auto flushed = one.flushed.get(); !flushed) return flushed;
  for (One& one : files_) {
    if (auto kept = one.file.keep(); !kept) return kept;
    if (auto added = fresh.add(one.file.target()); !added) return added;
  }
  return {};
}

}  // namespace holdfast::host::command
