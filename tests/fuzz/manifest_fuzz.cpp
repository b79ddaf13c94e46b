// SPDX-License-Identifier: MIT
//
// What stands in a repository (repository/manifest.h, chain.h, retention.h), and what the commands
// that read it show and do (command/commands.h). The input is the manifest of a backup, then
// perhaps a line "%%" and that of a later one; the first one's image is there, see the corpus.
#include "repository/manifest.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <sstream>

#include "base/file.h"
#include "base/text.h"
#include "command/commands.h"
#include "fuzz.h"
#include "support/temporary_directory.h"

namespace holdfast::fuzz {

namespace {

namespace command = host::command;
namespace repository = host::repository;

using base::ErrorCode;
using base::Json;

constexpr std::string_view kSeparator = "\n%%\n";
constexpr const char* kFirst = "20261120T182114Z-1f3a9c0b";
constexpr const char* kSecond = "20261121T182114Z-2e4b8d1c";

// An empty qcow2 image of 1 MiB, as far as its header goes.
std::string image() {
  std::string text(112, '\0');
  const auto put = [&](std::size_t at, unsigned char value) {
    text[at] = static_cast<char>(value);
  };
  text.replace(0, 4, "QFI\xfb");
  put(7, 3);      // version
  put(23, 16);    // cluster bits
  put(29, 0x10);  // size
  put(103, 104);  // length of the header
  return text;
}

struct Place {
  support::TemporaryDirectory directory;
  std::string repository = directory.file("repository");
  std::string out = directory.file("out");
  std::string machine = repository + "/web1";

  Place() {
    std::filesystem::create_directories(machine + "/" + kFirst);
    std::filesystem::create_directories(machine + "/" + kSecond);
    put(repository + "/holdfast-repository", "fuzz\ntag: 1f3a9c0b\n");
    put(machine + "/" + kFirst + "/vda.qcow2", image());
  }
  static void put(const std::string& path, std::string_view text) {
    require(base::write_file(path, text, 0600, base::Durable::kNo).has_value(), "a file");
  }
};

// Every program succeeds; no file outside of the repository is ever named to one.
class Watching final : public base::ProcessRunner {
 public:
  explicit Watching(const Place& place) : place_(place) {}

  base::ProcessOutcome run(const base::ProcessSpec& spec) override {
    require(spec.argv.front() == "qemu-img", "qemu-img is all that runs");
    for (std::size_t i = 2; i < spec.argv.size(); ++i) {
      const std::string& word = spec.argv[i];
      if (word.starts_with("json:")) {
        check_layer(*base::parse_json(std::string_view(word).substr(5), {word.size(), 1000}));
      } else {
        require(!word.starts_with('/') || word.starts_with(place_.out), "a target is in its place");
      }
    }
    base::ProcessOutcome outcome;
    outcome.ending = base::ProcessOutcome::Ending::kExited;
    return outcome;
  }

 private:
  void check_layer(const Json& layer) const {
    require(layer.at("driver") == "qcow2", "a format is given");
    const auto path = layer.at("file").at("filename").get<std::string>();
    require(path.starts_with(place_.machine + "/2026") && path.find("/..") == std::string::npos,
            "an image is one of the repository");
    require(layer.contains("backing"), "what stands below is given");
    if (!layer.at("backing").is_null()) check_layer(layer.at("backing"));
  }

  const Place& place_;
};

void check_lines(std::string_view text, bool errors) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    require(end != std::string_view::npos, "a line has an end");
    const std::string_view line = text.substr(0, end);
    require(is_one_safe_line(line), "a line is a safe one");
    require(!errors || line.starts_with("holdfast: "), "an error says who complains");
    text.remove_prefix(end + 1);
  }
}

// Runs one command with its output caught, and looks at it.
void run(const Place& place, const std::string& verb, std::vector<std::string> arguments,
         bool json = false) {
  command::Invocation invocation;
  invocation.verb = verb;
  invocation.arguments = std::move(arguments);
  invocation.json = json;
  invocation.config_directory = place.directory.file("none");
  invocation.to = place.out;
  invocation.dry_run = true;
  invocation.overrides = {{"repository", place.repository, "fuzz"}, {"keep-last", "1", "fuzz"}};
  Watching processes(place);
  command::Environment environment{processes, {}, {}};
  std::ostringstream output;
  std::ostringstream errors;
  auto* const real_output = std::cout.rdbuf(output.rdbuf());
  auto* const real_errors = std::cerr.rdbuf(errors.rdbuf());
  const auto status = command::run_command(invocation, environment);
  std::cout.rdbuf(real_output);
  std::cerr.rdbuf(real_errors);
  check_lines(errors.str(), true);
  check_lines(output.str(), false);
  if (!status) {
    require(is_one_safe_line(status.error().one_line()), "the error is one safe line");
    require(status.error().code() != ErrorCode::kInternal, "it is the repository's fault");
    return;
  }
  require(*status == 0 || !errors.str().empty(), "a failure is told");
  require(!json || base::parse_json(output.str()).has_value(), "what is printed can be read");
}

void check_manifest(std::string_view text) {
  const auto manifest = repository::parse_manifest(text);
  if (!manifest) {
    const ErrorCode code = manifest.error().code();
    require(code == ErrorCode::kCorrupt || code == ErrorCode::kUnsupported, "it says which");
    require(is_one_safe_line(manifest.error().one_line()), "the error is one safe line");
    return;
  }
  require(base::is_plain_name(manifest->vm) && is_one_safe_line(manifest->begin), "its texts");
  require(!manifest->disks.empty(), "there is something to restore");
  for (const repository::DiskEntry& disk : manifest->disks) {
    require(base::is_plain_name(disk.name) && disk.file == disk.name + ".qcow2",
            "a file is named after its disk");
    require(disk.sha256.size() == 64, "it has a checksum");
    require(disk.backing_id.empty() || disk.backing_id < manifest->id, "chains lead back in time");
  }
  const auto again = repository::parse_manifest(base::to_document(manifest->document));
  require(again && again->id == manifest->id && again->disks.size() == manifest->disks.size(),
          "a manifest that was written can be read");
}

}  // namespace

void check(std::string_view input) {
  static const Place kPlace;
  const std::size_t split = std::min(input.find(kSeparator), input.size());
  const std::string_view first = input.substr(0, split);
  const std::string_view second = input.substr(std::min(split + kSeparator.size(), input.size()));
  check_manifest(first);
  Place::put(kPlace.machine + "/" + kFirst + "/manifest.json", first);
  Place::put(kPlace.machine + "/" + kSecond + "/manifest.json", second);
  run(kPlace, "list", {});
  run(kPlace, "list", {"web1"}, true);
  run(kPlace, "show", {"web1", kFirst});
  run(kPlace, "show", {"web1", kSecond}, true);
  run(kPlace, "verify", {"web1"});
  run(kPlace, "prune", {"web1"});
  run(kPlace, "restore", {"web1", kFirst});
  std::filesystem::remove_all(kPlace.out);
  run(kPlace, "restore", {"web1", kSecond}, true);
  std::filesystem::remove_all(kPlace.out);
}

}  // namespace holdfast::fuzz
