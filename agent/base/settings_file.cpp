// SPDX-License-Identifier: MIT
//
// The reading of files apart from their judging (options.cpp): a plugin is handed its settings, and
// with the parser it would have all of Boost.Program_options to carry.
#include <algorithm>
#include <boost/program_options/errors.hpp>
#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>
#include <sstream>
#include <utility>

#include "base/file.h"
#include "base/options.h"
#include "base/text.h"

namespace holdfast::base {

namespace {

constexpr std::size_t kFileLimit = std::size_t{1} << 20U;

Error configuration_error(const std::string& origin, const std::string& problem) {
  return {ErrorCode::kConfiguration, origin + ": " + problem};
}

}  // namespace

Result<std::vector<Setting>> read_settings(const std::string& path) {
  auto text = read_file(path, kFileLimit);
  if (!text && text.error().code() == ErrorCode::kTooLarge) {
    return Error(ErrorCode::kConfiguration, text.error().message());
  }
  if (!text) return std::move(text).error();
  return parse_settings(*text, path);
}

Result<std::vector<Setting>> parse_settings(std::string_view text, const std::string& name) {
  namespace po = boost::program_options;
  std::vector<Setting> settings;
  const po::options_description none;
  std::size_t number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string origin = printable(name) + ":" + std::to_string(++number);
    const std::string_view content = trimmed(line);
    if (content.starts_with('[')) {
      return configuration_error(origin, "'" + printable(content, 64) + "': there are no sections");
    }
    // Boost's parser knows the syntax but not the line; so it gets one line at a time.
    try {
      std::istringstream stream{line};
      const auto parsed = po::parse_config_file(stream, none, true);
      for (const auto& option : parsed.options) {
        settings.push_back(
            {option.string_key, option.value.empty() ? "" : option.value.front(), origin});
      }
    } catch (const po::error&) {
      return configuration_error(origin, "'" + printable(content, 64) + "' is not 'key = value'");
    }
  }
  return settings;
}

}  // namespace holdfast::base
