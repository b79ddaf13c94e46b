// SPDX-License-Identifier: MIT
#include "base/json_codec.h"

#include <vector>

#include "base/text.h"

namespace holdfast::base {

namespace {

// Is it nested no deeper, and has no object more members, than allowed? Counted before parsing, so
// that a hostile document costs one pass and no memory to speak of.
Result<void> check_shape(std::string_view text, const JsonLimits& limits) {
  // Of each bracket that is open, how many colons have stood in it: as many as it has members.
  std::vector<std::size_t> open;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (open.size() == limits.depth) {
        return Error(ErrorCode::kTooLarge, "unable to read JSON: nested deeper than " +
                                               std::to_string(limits.depth) + " levels");
      }
      open.push_back(0);
    } else if ((c == '}' || c == ']') && !open.empty()) {
      open.pop_back();
    } else if (c == ':' && !open.empty() && ++open.back() > limits.members) {
      return Error(ErrorCode::kTooLarge, "unable to read JSON: an object with more than " +
                                             std::to_string(limits.members) + " members");
    }
  }
  return {};
}

// DEL and the C1 controls, which the library writes as they are.
std::string without_controls(std::string text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const auto is_control = [&](std::size_t at) {
    if (text[at] == '\x7f') return true;
    return text[at] == '\xc2' && at + 1 < text.size() &&
           (static_cast<unsigned char>(text[at + 1]) & 0xE0U) == 0x80U;
  };
  std::size_t at = 0;
  while (at < text.size() && !is_control(at))
    ++at;
  if (at == text.size()) return text;
  std::string escaped;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!is_control(i)) {
      escaped.push_back(text[i]);
      continue;
    }
    if (text[i] == '\xc2') ++i;
    const auto byte = static_cast<unsigned char>(text[i]);
    escaped += "\\u00";
    escaped.push_back(kDigits[byte >> 4U]);
    escaped.push_back(kDigits[byte & 0xFU]);
  }
  return escaped;
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
  if (auto right = check_shape(text, limits); !right) return std::move(right).error();
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
  return without_controls(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::string to_document(const Json& json) {
  return without_controls(json.dump(2, ' ', false, Json::error_handler_t::replace)) + "\n";
}

}  // namespace holdfast::base
