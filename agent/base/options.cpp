// SPDX-License-Identifier: MIT
#include "base/options.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <stdexcept>

#include "base/duration.h"
#include "base/size.h"
#include "base/text.h"

namespace holdfast::base {

namespace {

Error configuration_error(const std::string& origin, const std::string& problem) {
  return {ErrorCode::kConfiguration, origin + ": " + problem};
}

std::string key_text(std::string_view key) {
  return "'" + printable(key, 64) + "'";
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t change = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({change, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

std::string nearest_hint(const OptionTable& table, std::string_view key) {
  const OptionSpec* nearest = nullptr;
  std::size_t distance = 4;
  for (const OptionSpec& spec : table) {
    const std::size_t candidate = edit_distance(spec.name, key);
    if (candidate < distance) {
      distance = candidate;
      nearest = &spec;
    }
  }
  return nearest != nullptr ? "did you mean '" + nearest->name + "'?"
                            : "see the manual page for the keys that exist";
}

std::optional<bool> parse_bool(std::string_view value) {
  if (value == "yes" || value == "true" || value == "on" || value == "1") return true;
  if (value == "no" || value == "false" || value == "off" || value == "0") return false;
  return std::nullopt;
}

std::optional<std::int64_t> parse_integer(std::string_view value) {
  std::int64_t number = 0;
  const auto [rest, problem] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (problem != std::errc{} || rest != value.data() + value.size()) return std::nullopt;
  return number;
}

Error bad_value(const OptionSpec& spec, std::string_view value, const std::string& wanted) {
  const std::string shown = spec.secret ? "the value" : "'" + printable(value, 100) + "'";
  return {ErrorCode::kConfiguration, shown + " is not right for '" + spec.name + "': " + wanted};
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words)
    text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace

Result<void> check_value(const OptionSpec& spec, std::string_view value) {
  switch (spec.type) {
    case OptionType::kText:
      if (value.empty()) return bad_value(spec, value, "it must not be empty");
      return {};
    case OptionType::kPath:
      if (value.empty() || value.front() != '/') {
        return bad_value(spec, value, "an absolute path is needed");
      }
      return {};
    case OptionType::kBool:
      if (!parse_bool(value)) return bad_value(spec, value, "yes or no");
      return {};
    case OptionType::kChoice:
      if (std::find(spec.choices.begin(), spec.choices.end(), value) == spec.choices.end()) {
        return bad_value(spec, value, "one of " + joined(spec.choices));
      }
      return {};
    case OptionType::kInteger: {
      const auto number = parse_integer(value);
      if (!number || *number < spec.least || *number > spec.most) {
        return bad_value(spec, value,
                         "a whole number from " + std::to_string(spec.least) + " to " +
                             std::to_string(spec.most));
      }
      return {};
    }
    case OptionType::kDuration: {
      const auto span = parse_duration(value);
      if (!span || span->count() < spec.least || span->count() > spec.most) {
        const std::string most = spec.most == INT64_MAX
                                     ? std::string(" or more")
                                     : " to " + format_duration(Millis(spec.most));
        return bad_value(
            spec, value,
            "a duration such as 500ms, 15s or 2min, " + format_duration(Millis(spec.least)) + most);
      }
      return {};
    }
    case OptionType::kSize: {
      const auto bytes = parse_size(value);
      if (!bytes || *bytes < spec.least || *bytes > spec.most) {
        return bad_value(spec, value,
                         "a size such as 64KiB, 50MiB or 1GiB, " + format_size(spec.least) +
                             " to " + format_size(spec.most));
      }
      return {};
    }
  }
  throw std::logic_error("an option type without a check");  // uncovered: every type has its case
}

Options::Options(OptionTable table) : table_(std::move(table)) {
  for (const OptionSpec& spec : table_) {
    if (spec.default_value && !check_value(spec, *spec.default_value)) {
      throw std::logic_error("the default of '" + spec.name + "' is not right");
    }
  }
}

const OptionSpec* Options::find(std::string_view name) const {
  const auto found = std::find_if(table_.begin(), table_.end(),
                                  [&](const OptionSpec& spec) { return spec.name == name; });
  return found == table_.end() ? nullptr : &*found;
}

Result<void> Options::set(const Setting& setting) {
  const OptionSpec* spec = find(setting.key);
  if (spec == nullptr) {
    return configuration_error(setting.origin, "unknown key " + key_text(setting.key))
        .with_hint(nearest_hint(table_, setting.key));
  }
  if (auto right = check_value(*spec, setting.value); !right) {
    return configuration_error(setting.origin, right.error().message());
  }
  auto& values = values_[setting.key];
  if (!values.empty() && !spec->repeatable) {
    return configuration_error(
        setting.origin,
        "key " + key_text(setting.key) + " is given again, after " + values.front().origin);
  }
  values.push_back(setting);
  return {};
}

Result<void> Options::set_all(const std::vector<Setting>& settings) {
  for (const Setting& setting : settings) {
    if (auto done = set(setting); !done) return done;
  }
  return {};
}

Result<void> Options::finish(const std::string& where) const {
  for (const OptionSpec& spec : table_) {
    if (spec.required && !has(spec.name)) {
      return configuration_error(printable(where), "key '" + spec.name + "' is missing");
    }
  }
  return {};
}

bool Options::has(std::string_view name) const {
  const OptionSpec* spec = find(name);
  if (spec == nullptr) throw std::logic_error("no option '" + std::string(name) + "'");
  return values_.contains(name) || spec->default_value.has_value();
}

std::string Options::only_value(std::string_view name) const {
  if (!has(name)) throw std::logic_error("option '" + std::string(name) + "' has no value");
  const auto found = values_.find(name);
  return found != values_.end() ? found->second.front().value : find(name)->default_value.value();
}

std::string Options::text(std::string_view name) const {
  return only_value(name);
}

bool Options::flag(std::string_view name) const {
  return parse_bool(only_value(name)).value();
}

std::int64_t Options::integer(std::string_view name) const {
  return parse_integer(only_value(name)).value();
}

Millis Options::duration(std::string_view name) const {
  return parse_duration(only_value(name)).value();
}

std::int64_t Options::size(std::string_view name) const {
  return parse_size(only_value(name)).value();
}

std::vector<std::string> Options::list(std::string_view name) const {
  if (!has(name)) return {};
  const auto found = values_.find(name);
  if (found == values_.end()) return {find(name)->default_value.value()};
  std::vector<std::string> values;
  for (const Setting& setting : found->second)
    values.push_back(setting.value);
  return values;
}

std::string Options::print() const {
  std::string text;
  for (const OptionSpec& spec : table_) {
    const auto found = values_.find(spec.name);
    if (found == values_.end()) {
      text += spec.default_value ? spec.name + " = " + *spec.default_value + "  # default\n"
                                 : "# " + spec.name + " is not set\n";
      continue;
    }
    for (const Setting& setting : found->second) {
      text += spec.name + " = " + (spec.secret ? "***" : printable(setting.value)) + "  # " +
              setting.origin + "\n";
    }
  }
  return text;
}

}  // namespace holdfast::base
