// SPDX-License-Identifier: MIT
#include "ctl/json_text.h"

#include "base/text.h"

namespace holdfast::ctl {

using base::Json;

std::string text_of(const Json& object, const char* key) {
  const auto text = base::string_member(object, key);
  return text && !text->empty() ? base::printable(*text) : "-";
}

const Json& member(const Json& object, const char* key) {
  static const Json kNothing;
  if (!object.is_object()) return kNothing;
  const auto found = object.find(key);
  return found == object.end() ? kNothing : *found;
}

std::string position_of(const Json& resource) {
  std::string text;
  const Json& position = member(resource, "position");
  if (!position.is_object()) return "-";
  for (const auto& [key, value] : position.items()) {
    if (!value.is_string()) continue;
    text += (text.empty() ? "" : " ") + base::printable(key, 40) + "=" +
            base::printable(value.get<std::string>(), 120);
  }
  return text.empty() ? "-" : text;
}

}  // namespace holdfast::ctl
