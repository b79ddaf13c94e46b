// SPDX-License-Identifier: MIT
//
// One table of options per program or plugin feeds everything that has to agree about them: the
// configuration parser (Boost.Program_options syntax), --help, --print-config, and the test that
// compares the table with the manual page.
//
// A configuration file is lines of `key = value`, `#` starts a comment, there are no sections.
// Wrong keys are errors with file and line: a misspelt `freeze-timeout` that is silently ignored
// would be found on the night it is needed.
//
// Threads: plain values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace holdfast::base {

enum class OptionType { kText, kBool, kInteger, kDuration, kPath, kChoice, kSize };

// One option. `least` and `most` bound integers, durations in milliseconds, and sizes in bytes.
// `default_value` is written as in a file; an option without one must be given if `required`, and
// is else unset.
struct OptionSpec {
  std::string name;
  OptionType type = OptionType::kText;
  std::optional<std::string> default_value = std::nullopt;
  std::string help = {};
  std::string since = "0.1";
  bool required = false;
  std::int64_t least = 0;
  std::int64_t most = INT64_MAX;
  std::vector<std::string> choices = {};
  // May be given several times; values are kept in order.
  bool repeatable = false;
  // Never printed by --print-config.
  bool secret = false;
};

using OptionTable = std::vector<OptionSpec>;

// One `key = value` as it stands in a file.
struct Setting {
  std::string key;
  std::string value;
  // "/etc/holdfast/agent.conf:7", for messages and --print-config.
  std::string origin;
};

// The settings of a file, in order, unjudged. kConfiguration with file and line on bad syntax.
[[nodiscard]] Result<std::vector<Setting>> read_settings(const std::string& path);
// The same from a text; `name` stands in for the path in origins.
[[nodiscard]] Result<std::vector<Setting>> parse_settings(std::string_view text,
                                                          const std::string& name);

// Is this value right for this option? The message says what would be.
[[nodiscard]] Result<void> check_value(const OptionSpec& spec, std::string_view value);

// Values checked against a table. The typed getters throw std::logic_error for a name that is not
// in the table or has no value: that is a mistake in the program, not in the configuration.
class Options {
 public:
  explicit Options(OptionTable table);

  // Sets one value; kConfiguration for an unknown or repeated key or a bad value, with the
  // setting's origin. The nearest known key is offered as a hint.
  [[nodiscard]] Result<void> set(const Setting& setting);
  [[nodiscard]] Result<void> set_all(const std::vector<Setting>& settings);
  // Once all are set: is every required one there?
  [[nodiscard]] Result<void> finish(const std::string& where) const;

  [[nodiscard]] bool has(std::string_view name) const;
  [[nodiscard]] std::string text(std::string_view name) const;
  [[nodiscard]] bool flag(std::string_view name) const;
  [[nodiscard]] std::int64_t integer(std::string_view name) const;
  [[nodiscard]] Millis duration(std::string_view name) const;
  // In bytes.
  [[nodiscard]] std::int64_t size(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> list(std::string_view name) const;

  // "key = value  # origin" per option, for --print-config; secrets are shown as "***".
  [[nodiscard]] std::string print() const;
  [[nodiscard]] const OptionTable& table() const { return table_; }

 private:
  [[nodiscard]] const OptionSpec* find(std::string_view name) const;
  [[nodiscard]] std::string only_value(std::string_view name) const;

  OptionTable table_;
  std::map<std::string, std::vector<Setting>, std::less<>> values_;
};

}  // namespace holdfast::base
