// SPDX-License-Identifier: MIT
#include "repository/group.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/file.h"
#include "base/text.h"
#include "repository/paths.h"

namespace holdfast::host::repository {

using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

constexpr std::size_t kRecordLimit = std::size_t{1} << 20U;
constexpr std::size_t kMostMembers = 1000;

std::string directory_of_records(const std::string& repository) {
  return repository + "/.groups";
}

std::string record_of(const std::string& repository, const std::string& id) {
  return directory_of_records(repository) + "/" + id + ".json";
}

std::string mark_in(const std::string& directory) {
  return directory + "/" + std::string(kUnboundName);
}

Result<void> unlink_durably(const std::string& path, const std::string& directory) {
  if (::unlink(path.c_str()) != 0) {
    if (errno == ENOENT) return {};
    return base::errno_error(errno, "unable to remove '" + base::printable(path) + "'");
  }
  return flush_directory(directory);
}

}  // namespace

Result<GroupEntry> parse_group(const Json& manifest) {
  const auto corrupt = [](const std::string& problem) {
    return Error(ErrorCode::kCorrupt, "unable to use the manifest: its group: " + problem);
  };
  const auto group = manifest.find("group");
  if (group == manifest.end() || group->is_null()) return GroupEntry{};
  if (!group->is_object()) return corrupt("no object");
  auto name = base::string_member(*group, "name");
  if (!name) return corrupt(name.error().text());
  if (!base::is_plain_name(*name))
    return corrupt("'" + base::printable(*name, 80) + "' is no name");
  const auto members = base::array_member(*group, "members");
  if (!members) return corrupt(members.error().text());
  if ((*members)->empty() || (*members)->size() > kMostMembers) return corrupt("its members");
  GroupEntry entry{std::move(*name), {}};
  for (const Json& member : **members) {
    if (!member.is_string() || !base::is_plain_name(member.get_ref<const std::string&>())) {
      return corrupt("a member has no name");
    }
    entry.members.push_back(member.get<std::string>());
  }
  return entry;
}

Result<void> mark_unbound(const std::string& directory) {
  return base::write_file(mark_in(directory), "Its group is not complete. See holdfast(1).\n", 0600,
                          base::Durable::kYes);
}

Result<void> unmark(const std::string& directory) {
  return unlink_durably(mark_in(directory), directory);
}

Result<void> bind(const std::string& repository, const std::string& id, const Json& record) {
  const std::string directory = directory_of_records(repository);
  if (auto made = ensure_directory(directory); !made) return made;
  if (auto flushed = flush_directory(repository); !flushed) return flushed;
  auto written = base::write_file(record_of(repository, id), base::to_document(record), 0600,
                                  base::Durable::kYes);
  if (!written) return written;
  return flush_directory(directory);
}

Result<Binding> binding_of(const std::string& repository, const std::string& directory,
                           const std::string& id) {
  const auto mark = kind_of(mark_in(directory));
  if (!mark) return mark.error();
  if (*mark == Kind::kMissing) return Binding::kNone;
  const auto record = kind_of(record_of(repository, id));
  if (!record) return record.error();
  if (*record == Kind::kMissing) return Binding::kUnbound;
  if (*record == Kind::kFile) return Binding::kBound;
  // Nothing is removed for what is not known.
  return Error(ErrorCode::kCorrupt, "unable to use '" + base::printable(record_of(repository, id)) +
                                        "': not a regular file");
}

Result<Group> find_group(const std::string& repository, const std::string& id) {
  const std::string named = "'" + base::printable(id, 80) + "'";
  if (!is_backup_id(id)) return Error(ErrorCode::kUsage, named + " is no group's id");
  const auto text = base::read_file(record_of(repository, id), kRecordLimit);
  if (!text && text.error().code() == ErrorCode::kNotFound) {
    return Error(ErrorCode::kNotFound,
                 "there is no group " + named + " in '" + base::printable(repository) + "'");
  }
  if (!text) return text.error();
  const auto json = base::parse_json(*text, {kRecordLimit, 48});
  if (!json) return json.error();
  auto entry = parse_group({{"group", *json}});
  if (!entry) return std::move(entry).error();
  return Group{id, std::move(entry->name), std::move(entry->members)};
}

Result<void> forget_group(const std::string& repository, const std::string& id) {
  return unlink_durably(record_of(repository, id), directory_of_records(repository));
}

}  // namespace holdfast::host::repository
