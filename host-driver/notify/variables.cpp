// SPDX-License-Identifier: MIT
#include "notify/variables.h"

#include <unistd.h>

#include <string_view>

namespace holdfast::host::notify {

std::vector<std::string> environment_with(const Variables& variables) {
  constexpr std::string_view kPrefix = "HOLDFAST_";
  std::vector<std::string> environment;
  for (char* const* entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with(kPrefix)) environment.emplace_back(*entry);
  }
  for (const auto& [name, value] : variables)
    environment.push_back(std::string(kPrefix) + name + "=" + value);
  return environment;
}

}  // namespace holdfast::host::notify
