// SPDX-License-Identifier: MIT
//
// Backups of several machines that are one: they have the same id, each stands where any backup of
// its machine stands, and each names all of them. They become backups in one step:
//
//   1  each is published with a file in it that says that it is not bound yet
//   2  the group's record is written: ".groups/ID.json" of the repository
//   3  those files go, whenever that may be
//
// What is not bound and has no record was left by a run that died between 1 and 2, and is no
// backup. After 3 a backup needs no record: the repository's directories can be copied on their
// own.
//
// Threads: any; a member's file goes only under the lock of its machine.
#pragma once

#include <string>
#include <vector>

#include "base/json_codec.h"
#include "base/result.h"

namespace holdfast::host::repository {

// What a manifest says of its group; no members: there is none.
struct GroupEntry {
  std::string name;
  std::vector<std::string> members;  // the machines, in the order of their names
};

// "group": null, or {"name", "members"}. kCorrupt for what is neither.
[[nodiscard]] base::Result<GroupEntry> parse_group(const base::Json& manifest);

// Step 1, in the directory of a backup to be; and 3.
[[nodiscard]] base::Result<void> mark_unbound(const std::string& directory);
[[nodiscard]] base::Result<void> unmark(const std::string& directory);
// Step 2.
[[nodiscard]] base::Result<void> bind(const std::string& repository, const std::string& id,
                                      const base::Json& record);

enum class Binding {
  kNone,     // no group's, or bound and settled
  kBound,    // bound, step 3 is to be done
  kUnbound,  // no backup
};
[[nodiscard]] base::Result<Binding> binding_of(const std::string& repository,
                                               const std::string& directory, const std::string& id);

struct Group {
  std::string id;
  std::string name;
  std::vector<std::string> members;
};
// kNotFound if there is no such group, kCorrupt if its record is of no use.
[[nodiscard]] base::Result<Group> find_group(const std::string& repository, const std::string& id);
// When none of its members is left. No record is no error.
[[nodiscard]] base::Result<void> forget_group(const std::string& repository, const std::string& id);

}  // namespace holdfast::host::repository
