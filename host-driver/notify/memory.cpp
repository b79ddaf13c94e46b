// SPDX-License-Identifier: MIT
#include "notify/memory.h"

#include <sys/stat.h>

#include <cerrno>

#include "base/file.h"
#include "base/json_codec.h"
#include "base/text.h"

namespace holdfast::host::notify {

using base::Json;
using base::Result;

namespace {

constexpr std::size_t kLimit = 4096;
constexpr std::size_t kLongestTime = 64;

Result<void> make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return base::errno_error(errno, "unable to make '" + base::printable(path) + "'");
}

}  // namespace

std::optional<std::string> Memory::file_of(const std::string& command,
                                           const std::string& vm) const {
  if (!base::is_plain_name(vm)) return {};
  // "verify --boot" as "verify+boot", which no name of a machine makes of "verify".
  std::string name = command;
  if (const std::size_t at = name.find(" --"); at != std::string::npos) name.replace(at, 3, "+");
  return directory_ + "/outcomes/" + name + "-" + vm;
}

Remembered Memory::recall(const std::string& command, const std::string& vm) const {
  Remembered what;
  const auto file = file_of(command, vm);
  if (!file) return what;
  const auto text = base::read_file(*file, kLimit);
  if (!text) return what;
  const auto json = base::parse_json(*text);
  if (!json) return what;
  if (const auto told = base::string_member(*json, "told")) what.told = outcome_named(*told);
  if (const auto time = base::string_member(*json, "last_good"))
    what.last_good = base::printable(*time, kLongestTime);
  return what;
}

Result<void> Memory::keep(const std::string& command, const std::string& vm,
                          const Remembered& what) const {
  const auto file = file_of(command, vm);
  if (!file) return {};
  // The first one of these may come before the first backup has made the state directory.
  for (const std::string& directory : {directory_, directory_ + "/outcomes"}) {
    if (auto made = make_directory(directory); !made) return made;
  }
  const Json json{{"told", name_of(what.told)}, {"last_good", what.last_good}};
  return base::write_file(*file, base::to_document(json), 0600, base::Durable::kNo);
}

}  // namespace holdfast::host::notify
