// SPDX-License-Identifier: MIT
#include "base/json_codec.h"

#include "base/text.h"

namespace holdfast::base {

namespace {

// The deepest nesting of brackets outside strings. Counted before parsing, so that a hostile
// document costs one pass and no memory.
std::size_t depth_of(std::string_view text) {
  std::size_t depth = 0;
  std::size_t deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

Error wrong_member(std::string_view key, std::string_view wanted) {
  return {ErrorCode::kProtocol,
          "'" + printable(key) + "' is missing or is not " + std::string(wanted)};
}

// The member, or nothing if there is none or `object` is not an object.
const Json* find(const Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(std::string(key));
  return found == object.end() ? nullptr : &*found;
}

}  // namespace

Result<Json> parse_json(std::string_view text, JsonLimits limits) {
  if (text.size() > limits.size) {
    return Error(ErrorCode::kTooLarge,
                 "unable to read JSON: larger than " + format_bytes(limits.size));
  }
  if (depth_of(text) > limits.depth) {
    return Error(ErrorCode::kTooLarge, "unable to read JSON: nested deeper than " +
                                           std::to_string(limits.depth) + " levels");
  }
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) {
    return Error(ErrorCode::kProtocol, "unable to read JSON: '" + printable(text, 60) + "'");
  }
  return json;
}

Result<std::string> string_member(const Json& object, std::string_view key) {
  const Json* member = find(object, key);
  if (member == nullptr || !member->is_string()) return wrong_member(key, "a string");
  return member->get<std::string>();
}

Result<std::int64_t> integer_member(const Json& object, std::string_view key) {
  const Json* member = find(object, key);
  // A number beyond int64 is kept as unsigned, and a cast would change its sign.
  if (member == nullptr || !member->is_number_integer() ||
      (member->is_number_unsigned() && member->get<std::uint64_t>() > INT64_MAX)) {
    return wrong_member(key, "a whole number");
  }
  return member->get<std::int64_t>();
}

Result<bool> bool_member(const Json& object, std::string_view key) {
  const Json* member = find(object, key);
  if (member == nullptr || !member->is_boolean()) return wrong_member(key, "true or false");
  return member->get<bool>();
}

Result<const Json*> object_member(const Json& object, std::string_view key) {
  const Json* member = find(object, key);
  if (member == nullptr || !member->is_object()) return wrong_member(key, "an object");
  return member;
}

Result<const Json*> array_member(const Json& object, std::string_view key) {
  const Json* member = find(object, key);
  if (member == nullptr || !member->is_array()) return wrong_member(key, "an array");
  return member;
}

std::string to_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string to_document(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace holdfast::base
