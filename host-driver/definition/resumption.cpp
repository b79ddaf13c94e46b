// SPDX-License-Identifier: MIT
#include "definition/resumption.h"

#include <filesystem>
#include <optional>
#include <set>

#include "base/json_codec.h"
#include "base/text.h"

namespace holdfast::host::definition {

using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

constexpr base::JsonLimits kLimits{std::size_t{64} << 20U, 64};

Error unfit(const std::string& why) {
  return Error(ErrorCode::kUnsupported, "unable to start the machine from its definition: " + why)
      .with_hint("see CHECKPOINTS in holdfast(1) for how to continue it by hand");
}

std::string absolute_in(const std::string& directory, const std::string& path) {
  return (std::filesystem::path(directory) / path).lexically_normal().string();
}

class Replacer {
 public:
  Replacer(const std::map<std::string, std::string>& images, const std::string& directory)
      : directory_(directory) {
    for (const auto& [from, to] : images)
      images_[absolute_in(directory, from)] = to;
  }

  std::string word(const std::string& word) {
    if (word.starts_with('{')) {
      auto json = base::parse_json(word, kLimits);
      if (!json || !in_json(*json)) return word;
      return base::to_line(*json);
    }
    std::string replaced;
    for (const std::string_view piece : pieces_of(word)) {
      if (!replaced.empty()) replaced += ',';
      const std::size_t equals = piece.find('=');
      const std::size_t begin = equals == std::string_view::npos ? 0 : equals + 1;
      const auto target = replacement(without_doubled_commas(piece.substr(begin)));
      replaced += target ? std::string(piece.substr(0, begin)) + with_doubled_commas(*target)
                         : std::string(piece);
    }
    return replaced;
  }

  // An image that no word names.
  [[nodiscard]] std::optional<std::string> missed() const {
    for (const auto& [from, to] : images_) {
      if (!found_.contains(from)) return from;
    }
    return std::nullopt;
  }

 private:
  std::optional<std::string> replacement(const std::string& value) {
    if (value.empty()) return std::nullopt;
    const auto found = images_.find(absolute_in(directory_, value));
    if (found == images_.end()) return std::nullopt;
    found_.insert(found->first);
    return found->second;
  }

  bool in_json(Json& value) {
    if (value.is_string()) {
      auto target = replacement(value.get<std::string>());
      if (target) value = *target;
      return target.has_value();
    }
    bool any = false;
    if (value.is_structured()) {
      for (Json& member : value)
        any = in_json(member) || any;
    }
    return any;
  }

  const std::string& directory_;
  std::map<std::string, std::string> images_;
  std::set<std::string> found_;
};

}  // namespace

Result<StoredCommand> parse_stored_command(std::string_view document) {
  const auto json = base::parse_json(document, kLimits);
  if (!json) return base::wrap(json.error(), "unable to read the definition");
  StoredCommand command;
  const auto words = base::array_member(*json, "command_line");
  if (!words || (*words)->empty()) return unfit("it has no command line");
  for (const Json& word : **words) {
    if (!word.is_string()) return Error(ErrorCode::kCorrupt, "the definition's words are no text");
    command.words.push_back(word.get<std::string>());
  }
  const auto redacted = base::array_member(*json, "redacted");
  if (redacted && !(*redacted)->empty()) {
    return unfit("secrets were taken out of it: " +
                 base::printable(base::string_member((*redacted)->front(), "what").value_or("")));
  }
  command.working_directory = base::string_member(*json, "working_directory").value_or("/");
  if (!command.working_directory.starts_with('/')) command.working_directory = "/";
  if (const auto machine = base::object_member(*json, "machine"); machine) {
    command.machine = base::string_member(**machine, "type").value_or("");
  }
  if (!program_is_qemu(command.words.front())) {
    return unfit("'" + base::printable(command.words.front(), 100) + "' is no QEMU");
  }
  return command;
}

bool program_is_qemu(std::string_view word) {
  const std::string_view name = word.substr(word.rfind('/') + 1);
  return name.starts_with("qemu-system-") || name == "qemu-kvm" || name == "kvm";
}

Result<Words> resumed_words(const StoredCommand& command,
                            const std::map<std::string, std::string>& images) {
  Replacer replacer(images, command.working_directory);
  Words words{command.words.front()};
  for (std::size_t i = 1; i < command.words.size(); ++i) {
    const std::string_view option = option_of(command.words[i]);
    if (option == "-S" || option == "-daemonize") continue;
    if (option == "-incoming") {
      ++i;
      continue;
    }
    words.push_back(option.empty() ? replacer.word(command.words[i]) : command.words[i]);
  }
  if (const auto missed = replacer.missed(); missed) {
    return unfit("its command line does not name the image '" + base::printable(*missed) + "'");
  }
  words.emplace_back("-incoming");
  words.emplace_back("defer");
  return words;
}

std::vector<std::string> listened_at(const StoredCommand& command) {
  std::vector<std::string> paths;
  for (const std::string& word : command.words) {
    const auto pieces = pieces_of(word);
    const bool listens = word.find("server") != std::string::npos;
    if (!listens || word.find("server=off") != std::string::npos) continue;
    for (const std::string_view piece : pieces) {
      for (const std::string_view begin : {"unix:", "path="}) {
        if (!piece.starts_with(begin)) continue;
        paths.push_back(absolute_in(command.working_directory,
                                    without_doubled_commas(piece.substr(begin.size()))));
      }
    }
  }
  return paths;
}

}  // namespace holdfast::host::definition
