// SPDX-License-Identifier: MIT
//
// The index of a machine's backups (repository/index.h), which stands in a repository: each of its
// lines, and all of it as a file.
#include "repository/index.h"

#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "fuzz.h"
#include "repository/paths.h"
#include "support/temporary_directory.h"

namespace holdfast::fuzz {

namespace {

namespace repository = host::repository;

void check_line(const repository::IndexLine& line) {
  const repository::Summary& summary = line.summary;
  require(repository::is_backup_id(summary.id), "it has the id of a backup");
  require(is_one_safe_line(summary.begin), "its time is one safe line");
  require(summary.parent.empty() || summary.parent < summary.id, "chains lead back in time");
  require(!summary.proof || is_one_safe_line(summary.proof->at), "and that of its proof");
  for (const std::string& vm : summary.group.members)
    require(base::is_plain_name(vm), "a member is a name");
  const std::string text = repository::format_line(line);
  const auto again = repository::parse_line(text);
  require(again && again->stamps == line.stamps && repository::format_line(*again) == text,
          "what was written is read as it was");
}

}  // namespace

void check(std::string_view input) {
  static const support::TemporaryDirectory kPlace;
  if (const auto line = repository::parse_line(input)) check_line(*line);
  const std::string path = kPlace.path() + "/" + std::string(repository::kIndexName);
  require(base::write_file(path, input, 0600, base::Durable::kNo).has_value(), "a file");
  std::string last;
  for (const repository::IndexLine& line : repository::read_index(kPlace.path())) {
    require(last < line.summary.id, "they are in order, and each is there once");
    last = line.summary.id;
    check_line(line);
  }
}

}  // namespace holdfast::fuzz
