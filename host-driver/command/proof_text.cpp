// SPDX-License-Identifier: MIT
#include "command/proof_text.h"

#include <cstdio>

#include "base/text.h"

namespace holdfast::host::command {

using base::Json;
using repository::Proof;
using repository::ProofResult;

namespace {

const Json& member(const Json& object, const char* key) {
  static const Json kNone;
  if (!object.is_object()) return kNone;
  const auto found = object.find(key);
  return found == object.end() ? kNone : *found;
}

std::string text_of(const Json& object, const char* key) {
  const Json& value = member(object, key);
  return value.is_string() ? base::printable(value.get_ref<const std::string&>()) : std::string();
}

std::string seconds_of(const Json& millis) {
  char text[48];
  std::snprintf(text, sizeof text, "%.1f s", millis.get<double>() / 1000);
  return text;
}

bool is_ok(const Json& resource, const char* check) {
  return text_of(member(resource, check), "verdict") == "ok";
}

std::string count_of(const Json& resources) {
  std::size_t sound = 0;
  for (const Json& resource : resources)
    sound += is_ok(resource, "up") && is_ok(resource, "sound") ? 1U : 0U;
  return "; " + std::to_string(sound) + " of " + std::to_string(resources.size()) +
         " resources up and sound";
}

void add_list(std::vector<std::string>& lines, const std::string& heading, const Json& list) {
  if (!list.is_array()) return;
  for (const Json& line : list) {
    if (line.is_string()) {
      lines.push_back(heading + base::printable(line.get_ref<const std::string&>()));
    }
  }
}

}  // namespace

std::string proof_line(const Proof& proof) {
  std::string line = proof.result == ProofResult::kFailed   ? "NOT PROVEN"
                     : proof.result == ProofResult::kBooted ? "booted, and no more"
                                                            : std::string(name_of(proof.result));
  const Json& document = proof.document;
  const Json& boot = member(document, "boot_ms");
  line += boot.is_number() ? ": its agent answered after " + seconds_of(boot) : "";
  const Json& resources = member(member(document, "guest"), "resources");
  if (resources.is_array()) line += count_of(resources);
  if (const std::string qemu = text_of(document, "qemu"); !qemu.empty()) {
    line += "; QEMU " + qemu + ", " + text_of(document, "accelerator");
  }
  return line;
}

std::vector<std::string> proof_lines(const Proof& proof) {
  std::vector<std::string> lines;
  const Json& document = proof.document;
  add_list(lines, "because: ", member(document, "reasons"));
  add_list(lines, "note: ", member(document, "notes"));
  const Json& resources = member(member(document, "guest"), "resources");
  if (resources.is_array()) {
    for (const Json& resource : resources) {
      std::string line = text_of(resource, "name") + ":";
      for (const char* check : {"up", "sound", "position"}) {
        const Json& answer = member(resource, check);
        const std::string text = text_of(answer, "text");
        if (text.empty()) continue;
        line += std::string(" ") + check + (text_of(answer, "verdict") == "bad" ? " NO" : "") +
                " (" + text + ")";
      }
      lines.push_back(std::move(line));
    }
  }
  if (const std::string console = text_of(document, "console"); !console.empty()) {
    lines.push_back("its console's last words: " + console);
  }
  return lines;
}

}  // namespace holdfast::host::command
