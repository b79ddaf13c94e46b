// SPDX-License-Identifier: MIT
#include "qmp/schema.h"

#include <algorithm>

namespace holdfast::host::qmp {

using base::Json;

namespace {

const Json* entry_named(const Json& schema, std::string_view name, std::string_view meta_type) {
  const auto found = std::find_if(schema.begin(), schema.end(), [&](const Json& entry) {
    return base::string_member(entry, "name").value_or("") == name &&
           base::string_member(entry, "meta-type").value_or("") == meta_type;
  });
  return found == schema.end() ? nullptr : &*found;
}

}  // namespace

bool command_takes(Client& client, std::string_view command, std::string_view argument,
                   base::Deadline deadline) {
  const auto schema = client.execute("query-qmp-schema", Json::object(), deadline);
  if (!schema || !schema->is_array()) return false;
  const Json* const entry = entry_named(*schema, command, "command");
  if (entry == nullptr) return false;
  const auto type = base::string_member(*entry, "arg-type");
  if (!type) return false;
  const Json* const arguments = entry_named(*schema, *type, "object");
  if (arguments == nullptr) return false;
  const auto members = base::array_member(*arguments, "members");
  if (!members) return false;
  return std::any_of((*members)->begin(), (*members)->end(), [&](const Json& member) {
    return base::string_member(member, "name").value_or("") == argument;
  });
}

}  // namespace holdfast::host::qmp
