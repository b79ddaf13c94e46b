// SPDX-License-Identifier: MIT
#include "mysql/replica_status.h"

#include <algorithm>
#include <initializer_list>
#include <string>

#include "base/text.h"

namespace holdfast::mysql {

namespace {

// The value in the first of these columns that there is.
std::string value_in(const Table& table, const Row& row, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const auto found = std::find(table.columns.begin(), table.columns.end(), name);
    if (found == table.columns.end()) continue;
    const auto index = static_cast<std::size_t>(found - table.columns.begin());
    return index < row.size() ? base::printable(row[index].value_or(""), 500) : std::string();
  }
  return {};
}

}  // namespace

api::Position applied_sources_of(const Table& status) {
  api::Position position;
  for (const Row& row : status.rows) {
    const std::string name = value_in(status, row, {"Connection_name", "Channel_Name"});
    const std::string suffix = name.empty() ? std::string() : "[" + name + "]";
    // Not Source_Log_File: that is how far the receiver has read, and much of it isn't applied.
    position.emplace_back(
        "source-file" + suffix,
        value_in(status, row, {"Relay_Source_Log_File", "Relay_Master_Log_File"}));
    position.emplace_back("source-position" + suffix,
                          value_in(status, row, {"Exec_Source_Log_Pos", "Exec_Master_Log_Pos"}));
    position.emplace_back("source-host" + suffix,
                          value_in(status, row, {"Source_Host", "Master_Host"}));
  }
  return position;
}

}  // namespace holdfast::mysql
