// SPDX-License-Identifier: MIT
#include "qmp/schema.h"

#include <algorithm>
#include <string>

#include "base/text.h"

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

// The member of this name of an entry's list, such as an object's "members"; none: nullptr.
const Json* member_of(const Json* entry, std::string_view list, std::string_view key,
                      std::string_view name) {
  if (entry == nullptr) return nullptr;
  const auto members = base::array_member(*entry, list);
  if (!members) return nullptr;
  const auto found = std::find_if((*members)->begin(), (*members)->end(), [&](const Json& member) {
    return base::string_member(member, key).value_or("") == name;
  });
  return found == (*members)->end() ? nullptr : &*found;
}

// What `member`, of an entry or of a list, leads to.
const Json* type_of(const Json& schema, const Json* member, std::string_view key,
                    std::string_view meta_type) {
  if (member == nullptr) return nullptr;
  const auto type = base::string_member(*member, key);
  return type ? entry_named(schema, *type, meta_type) : nullptr;
}

const Json* arguments_of(const Json& schema, std::string_view command) {
  return type_of(schema, entry_named(schema, command, "command"), "arg-type", "object");
}

// blockdev-create takes options by driver; those of qcow2 have a member of an enumerated type
// (QEMU: qapi/block-core.json, Qcow2CompressionType; zstd is there if it was built with it).
bool compresses_with(const Json& schema, std::string_view kind) {
  const Json* const options = type_of(
      schema, member_of(arguments_of(schema, "blockdev-create"), "members", "name", "options"),
      "type", "object");
  const Json* const qcow2 =
      type_of(schema, member_of(options, "variants", "case", "qcow2"), "type", "object");
  const Json* const kinds =
      type_of(schema, member_of(qcow2, "members", "name", "compression-type"), "type", "enum");
  if (kinds == nullptr) return false;
  const auto values = base::array_member(*kinds, "values");
  return values && std::find((*values)->begin(), (*values)->end(), Json(kind)) != (*values)->end();
}

}  // namespace

bool command_takes(Client& client, std::string_view command, std::string_view argument,
                   base::Deadline deadline) {
  const auto schema = client.execute("query-qmp-schema", Json::object(), deadline);
  if (!schema || !schema->is_array()) return false;
  return member_of(arguments_of(*schema, command), "members", "name", argument) != nullptr;
}

base::Result<void> require_compression(Client& client, std::string_view kind,
                                       base::Deadline deadline) {
  const auto schema = client.execute("query-qmp-schema", Json::object(), deadline);
  if (!schema) return schema.error();
  if (schema->is_array() && compresses_with(*schema, kind)) return {};
  return base::Error(base::ErrorCode::kUnsupported,
                     "QEMU " + base::printable(client.version(), 40) +
                         " of this machine is unable to compress with " + std::string(kind))
      .with_hint("'compress = none' does without");
}

}  // namespace holdfast::host::qmp
