// SPDX-License-Identifier: MIT
#include "definition/qemu_definition.h"

#include <array>
#include <filesystem>

#include "base/duration.h"
#include "base/text.h"
#include "definition/process.h"
#include "definition/redaction.h"
#include "definition/tpm_state.h"
#include "image/checksum.h"
#include "qmp/block_graph.h"

namespace holdfast::host::definition {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

constexpr int kSchema = 1;
// Firmware has some MiB.
constexpr std::uintmax_t kLargestFirmware = std::uintmax_t{64} << 20U;
constexpr const char* kAbout =
    "What QEMU was started with, and its block devices before the backup began. What is a "
    "secret, or is called like one, is replaced by '<redacted>' and listed under 'redacted'.";

class Reader {
 public:
  Reader(qmp::Client& monitor, std::string monitor_path, Deadline deadline)
      : monitor_(monitor), monitor_path_(std::move(monitor_path)), deadline_(deadline) {}

  Definition read(const std::string& tpm_state);

 private:
  // Null, and a line in lacking(), if QEMU does not answer.
  Json ask(const char* command, Json arguments = Json::object());
  // Null if it does not: older and smaller QEMUs lack some.
  Json ask_quietly(const char* command, Json arguments = Json::object());
  Json machine();
  void add_command_line(Json& document);
  void find_tpm(const std::string& told);
  Json firmware(const Json& devices);
  void lack(const std::string& what, const Error& error) {
    definition_.lacking.push_back("the definition lacks " + what + ": " + error.one_line());
  }

  qmp::Client& monitor_;
  std::string monitor_path_;
  Deadline deadline_;
  pid_t qemu_ = 0;
  Words words_;
  std::size_t redacted_ = 0;
  Definition definition_;
};

Json Reader::ask_quietly(const char* command, Json arguments) {
  auto answer = monitor_.execute(command, std::move(arguments), deadline_);
  return answer ? std::move(*answer) : Json();
}

Json Reader::ask(const char* command, Json arguments) {
  auto answer = monitor_.execute(command, std::move(arguments), deadline_);
  if (answer) return std::move(*answer);
  lack("what QEMU answers to '" + std::string(command) + "'", answer.error());
  return {};
}

// A member, or null.
Json member(const Json& object, const char* key) {
  return object.is_object() ? object.value(key, Json()) : Json();
}

Json Reader::machine() {
  const Json cpus = ask_quietly("query-cpus-fast");
  return {{"type", ask("qom-get", {{"path", "/machine"}, {"property", "type"}})},
          {"name", member(ask_quietly("query-name"), "name")},
          {"uuid", member(ask_quietly("query-uuid"), "UUID")},
          {"kvm", member(ask_quietly("query-kvm"), "enabled")},
          {"cpus", cpus.is_array() ? Json(cpus.size()) : Json()},
          {"memory_bytes", member(ask_quietly("query-memory-size-summary"), "base-memory")}};
}

void Reader::add_command_line(Json& document) {
  document["working_directory"] = nullptr;
  document["command_line"] = nullptr;
  document["redacted"] = Json::array();
  const auto process = find_qemu(monitor_.peer(), monitor_path_);
  auto words = process ? command_line_of(*process) : Result<Words>(process.error());
  if (!words) {
    lack("QEMU's command line", words.error());
    return;
  }
  qemu_ = *process;
  const std::string directory = working_directory_of(qemu_);
  if (!directory.empty()) document["working_directory"] = directory;
  words_ = std::move(*words);
  RedactedWords clean = redact(words_);
  redacted_ = clean.redactions.size();
  document["command_line"] = std::move(clean.words);
  for (const Redaction& one : clean.redactions)
    document["redacted"].push_back({{"word", one.word}, {"what", one.what}});
}

Json Reader::firmware(const Json& devices) {
  Json found = Json::array();
  if (!devices.is_array()) return found;
  for (const Json& device : devices) {
    const auto qdev = base::string_member(device, "qdev");
    const auto inserted = base::object_member(device, "inserted");
    if (!qdev || !inserted || !qmp::pflash_unit(*qdev)) continue;
    if (!base::bool_member(**inserted, "ro").value_or(false)) continue;
    const auto file = base::string_member(**inserted, "file");
    const std::string path = file ? absolute_path(*file, qemu_) : std::string();
    // The name in the command line is often a link to what the package has.
    std::error_code problem;
    const std::string real = std::filesystem::canonical(path, problem).string();
    const std::uintmax_t size = problem ? 0 : std::filesystem::file_size(real, problem);
    if (problem || size > kLargestFirmware) {
      lack("the checksum of the firmware '" + base::printable(file.value_or("")) + "'",
           Error(ErrorCode::kNotFound,
                 problem ? "there is no such file here" : "it is larger than any firmware"));
      continue;
    }
    const auto digest = image::digest_file(real, {}, {});
    if (!digest) {
      lack("the checksum of the firmware", digest.error());
      continue;
    }
    found.push_back(
        {{"device", *qdev}, {"file", path}, {"bytes", digest->bytes}, {"sha256", digest->sha256}});
  }
  return found;
}

void Reader::find_tpm(const std::string& told) {
  const auto chardev = tpm_of_qemu(monitor_, deadline_);
  definition_.about["tpm"] = !chardev || chardev->has_value();
  if (!told.empty()) {
    definition_.tpm = tpm_at(told);
    return;
  }
  if (chardev && !*chardev) return;
  auto place = chardev ? find_swtpm(words_, qemu_, **chardev) : Result<TpmPlace>(chardev.error());
  if (place) {
    definition_.tpm = std::move(*place);
  } else {
    definition_.lacking.push_back("without the state of the TPM: " + place.error().one_line());
  }
}

Definition Reader::read(const std::string& tpm_state) {
  const Json version = ask_quietly("query-version");
  Json document{
      {"schema", kSchema},
      {"about", kAbout},
      {"taken", base::format_time(std::chrono::system_clock::now())},
      {"qemu", {{"version", monitor_.version()}, {"package", member(version, "package")}}},
      {"machine", machine()}};
  add_command_line(document);
  Json devices = ask("query-block");
  document["firmware"] = firmware(devices);
  (void)redact(devices);
  document["devices"] = std::move(devices);
  document["nodes"] = ask("query-named-block-nodes", {{"flat", true}});
  (void)redact(document["nodes"]);

  definition_.about = {{"channel", "qemu"},
                       {"machine", document["machine"]["type"]},
                       {"uuid", document["machine"]["uuid"]},
                       {"command_line", !document["command_line"].is_null()},
                       {"redacted", redacted_},
                       {"files", Json::array()}};
  find_tpm(tpm_state);
  definition_.files.push_back({kDefinitionFile, "definition", base::to_document(document), {}});
  return std::move(definition_);
}

}  // namespace

Definition read_qemu_definition(qmp::Client& monitor, const std::string& monitor_path,
                                const std::string& tpm_state, Deadline deadline) {
  return Reader(monitor, monitor_path, deadline).read(tpm_state);
}

}  // namespace holdfast::host::definition
