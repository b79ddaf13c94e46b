// SPDX-License-Identifier: MIT
//
// host.conf, the file of one machine (config/settings.h), and a command line
// (command/invocation.h). The input is the first, then perhaps a line "%%" and the second, and
// another one and the words of the third, one a line.
#include "config/settings.h"

#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "command/invocation.h"
#include "config/options.h"
#include "fuzz.h"
#include "support/temporary_directory.h"

namespace holdfast::fuzz {

namespace {

namespace command = host::command;
namespace config = host::config;

using base::ErrorCode;
using namespace std::chrono_literals;

constexpr std::string_view kSeparator = "\n%%\n";

struct Files {
  support::TemporaryDirectory directory;
  std::string shared = directory.file("host.conf");
  std::string own = directory.file("vms.d/web1.conf");

  Files() { std::filesystem::create_directory(directory.file("vms.d")); }
};

std::string_view take_part(std::string_view& input) {
  const std::size_t split = std::min(input.find(kSeparator), input.size());
  const std::string_view part = input.substr(0, split);
  input.remove_prefix(std::min(split + kSeparator.size(), input.size()));
  return part;
}

void check_settings(const config::Settings& settings) {
  for (const std::string* path : {&settings.qmp, &settings.agent, &settings.repository,
                                  &settings.overlay_directory, &settings.metrics_directory})
    require(path->empty() || path->starts_with('/'), "a path is absolute");
  require(settings.state_directory.starts_with('/'), "the state has its place");
  require(settings.freeze_timeout >= 1s && settings.freeze_timeout <= 1h, "freeze-timeout");
  require(settings.thaw_timeout >= 1s && settings.thaw_timeout <= 1h, "thaw-timeout");
  require(settings.agent_timeout >= 100ms && settings.agent_timeout <= 1h, "agent-timeout");
  require(settings.parallel >= 1 && settings.parallel <= 64, "parallel");
  require(settings.overlay_reserve >= 0 && settings.overlay_reserve <= 100, "overlay-reserve");
  require(settings.keep.last >= 0 && settings.keep.last <= 100000, "keep-last");
  for (const std::string* level : {&settings.require, &settings.prefer})
    require(*level == "crash" || *level == "filesystem" || *level == "application", "a level");
}

// What --print-config shows is what people see, and it can be given back.
void check_printed(const config::Settings& settings) {
  std::string_view rest = settings.printed;
  std::size_t lines = 0;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    require(end != std::string_view::npos, "a line has an end");
    require(is_one_safe_line(rest.substr(0, end)), "a line is a safe one");
    rest.remove_prefix(end + 1);
    ++lines;
  }
  require(lines == config::all_options().size(), "every key has its line");
  const auto again = base::parse_settings(settings.printed, "printed");
  require(again.has_value(), "what is printed can be read");
}

void check_files(const Files& files) {
  const auto settings = config::load_settings(files.directory.path(), "web1", {});
  if (settings) {
    check_settings(*settings);
    check_printed(*settings);
    return;
  }
  const base::Error& error = settings.error();
  require(error.code() == ErrorCode::kConfiguration || error.code() == ErrorCode::kTooLarge,
          "it is the configuration's fault");
  require(is_one_safe_line(error.one_line()), "the error is one safe line");
  require(error.text().find(files.directory.path()) != std::string::npos, "it names the file");
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    // A word of a command line ends at its first NUL.
    words.emplace_back(text.substr(0, std::min(end, text.find('\0'))));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

void check_words(const Files& files, const std::vector<std::string>& words) {
  const auto invocation = command::parse_command_line(words);
  if (!invocation) {
    require(invocation.error().code() == ErrorCode::kUsage, "it is the caller's fault");
    require(is_one_safe_line(invocation.error().one_line()), "the error is one safe line");
    return;
  }
  if (invocation->verb == "help" || invocation->verb == "version") return;
  const auto verbs = command::verb_names();
  require(std::find(verbs.begin(), verbs.end(), invocation->verb) != verbs.end(), "a known verb");
  require(invocation->to.empty() || invocation->to.starts_with('/'), "a target is absolute");
  const auto settings =
      config::load_settings(files.directory.file("none"), "web1", invocation->overrides);
  if (settings) return check_settings(*settings);
  require(settings.error().code() == ErrorCode::kUsage, "it is the caller's fault");
  require(is_one_safe_line(settings.error().one_line()), "the error is one safe line");
}

}  // namespace

void check(std::string_view input) {
  static const Files kFiles;
  using base::Durable;
  const std::string_view shared = take_part(input);
  const std::string_view own = take_part(input);
  require(base::write_file(kFiles.shared, shared, 0600, Durable::kNo).has_value(), "a file");
  require(base::write_file(kFiles.own, own, 0600, Durable::kNo).has_value(), "a file");
  check_files(kFiles);
  check_words(kFiles, words_of(input));
}

}  // namespace holdfast::fuzz
