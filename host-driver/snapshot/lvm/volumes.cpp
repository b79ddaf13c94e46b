// SPDX-License-Identifier: MIT
#include "snapshot/lvm/volumes.h"

#include <sys/sysmacros.h>

#include <algorithm>
#include <charconv>

#include "base/json_codec.h"
#include "base/text.h"

namespace holdfast::host::snapshot {

using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

constexpr const char* kColumns =
    "vg_name,lv_name,lv_attr,origin,pool_lv,lv_kernel_major,lv_kernel_minor,lv_size,vg_free,"
    "data_percent,metadata_percent,lv_snapshot_invalid,lv_health_status";
constexpr std::size_t kReportLimit = std::size_t{4} << 20U;
constexpr std::size_t kNameLimit = 127;
constexpr std::uint64_t kLeastSize = std::uint64_t{32} << 20U;
constexpr double kFull = 100.0;
constexpr int kPercent = 100;

bool is_name_letter(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
         (letter >= '0' && letter <= '9') || letter == '.' || letter == '_' || letter == '+' ||
         letter == '-';
}

Error not_a_number(const char* key, const std::string& text) {
  return {ErrorCode::kCorrupt,
          "'" + std::string(key) + "' is no number: '" + base::printable(text, 40) + "'"};
}

// Every value of a report is a string.
Result<std::uint64_t> number(const Json& entry, const char* key) {
  const auto text = base::string_member(entry, key);
  if (!text) return text.error();
  std::uint64_t value = 0;
  const char* end = text->data() + text->size();
  const auto [stopped, problem] = std::from_chars(text->data(), end, value);
  if (problem != std::errc() || stopped != end) return not_a_number(key, *text);
  return value;
}

// Empty: it has none.
Result<std::optional<double>> percent(const Json& entry, const char* key) {
  const auto text = base::string_member(entry, key);
  if (!text) return text.error();
  if (text->empty()) return std::optional<double>();
  double value = 0;
  const char* end = text->data() + text->size();
  const auto [stopped, problem] = std::from_chars(text->data(), end, value);
  if (problem != std::errc() || stopped != end || !(value >= 0)) return not_a_number(key, *text);
  return std::optional<double>(value);
}

// "-1" each if it is not active.
Result<std::optional<std::uint64_t>> device(const Json& entry) {
  const auto inactive = base::string_member(entry, "lv_kernel_major");
  if (!inactive) return inactive.error();
  if (*inactive == "-1") return std::optional<std::uint64_t>();
  const auto major = number(entry, "lv_kernel_major");
  const auto minor = number(entry, "lv_kernel_minor");
  if (!major) return major.error();
  if (!minor) return minor.error();
  return std::optional<std::uint64_t>(
      makedev(static_cast<unsigned>(*major), static_cast<unsigned>(*minor)));
}

Result<void> read_names(const Json& entry, Volume& volume) {
  struct Field {
    const char* key;
    std::string* value;
    bool required;
  };
  for (const Field& field :
       {Field{"vg_name", &volume.group, true}, Field{"lv_name", &volume.name, true},
        Field{"origin", &volume.origin, false}, Field{"pool_lv", &volume.pool, false}}) {
    auto text = base::string_member(entry, field.key);
    if (!text) return std::move(text).error();
    if (!is_volume_name(*text) && (field.required || !text->empty())) {
      return Error(ErrorCode::kCorrupt, "'" + base::printable(*text, kNameLimit) +
                                            "' is no name of a volume or a group");
    }
    *field.value = std::move(*text);
  }
  return {};
}

Result<Volume> parse_volume(const Json& entry) {
  Volume volume;
  if (auto names = read_names(entry, volume); !names) return std::move(names).error();
  auto attributes = base::string_member(entry, "lv_attr");
  auto health = base::string_member(entry, "lv_health_status");
  const auto invalid = base::string_member(entry, "lv_snapshot_invalid");
  const auto size = number(entry, "lv_size");
  const auto group_free = number(entry, "vg_free");
  const auto data_used = percent(entry, "data_percent");
  const auto metadata_used = percent(entry, "metadata_percent");
  const auto of_kernel = device(entry);
  if (!attributes) return std::move(attributes).error();
  if (!health) return std::move(health).error();
  if (!invalid) return invalid.error();
  if (!size) return size.error();
  if (!group_free) return group_free.error();
  if (!data_used) return data_used.error();
  if (!metadata_used) return metadata_used.error();
  if (!of_kernel) return of_kernel.error();
  volume.attributes = std::move(*attributes);
  volume.health = std::move(*health);
  volume.invalid = *invalid == "1";
  volume.size = *size;
  volume.group_free = *group_free;
  volume.data_used = *data_used;
  volume.metadata_used = *metadata_used;
  volume.device = *of_kernel;
  return volume;
}

// Killed at the wrong moment, by a deadline or with its parent, such a command leaves the volume
// suspended, and whoever writes to it waits for ever. setsid(1) forks, and what kills the parent
// does not reach the child.
std::vector<std::string> in_a_session_of_its_own(std::vector<std::string> command) {
  command.insert(command.begin(), {"setsid", "--wait"});
  return command;
}

}  // namespace

bool Volume::is_full() const {
  return (data_used && *data_used >= kFull) || (metadata_used && *metadata_used >= kFull);
}

std::vector<std::string> list_command(const std::string& group) {
  std::vector<std::string> command{"lvs", "--reportformat", "json",      "--binary", "--units",
                                   "b",   "--nosuffix",     "--options", kColumns};
  if (!group.empty()) command.push_back(group);
  return command;
}

Result<std::vector<Volume>> parse_volumes(std::string_view report) {
  const auto corrupt = [](const Error& cause) {
    return Error(ErrorCode::kCorrupt, "unable to read what lvs reports").caused_by(cause);
  };
  const auto json = base::parse_json(report, {kReportLimit, 8});
  if (!json) return corrupt(json.error());
  const auto parts = base::array_member(*json, "report");
  if (!parts) return corrupt(parts.error());
  std::vector<Volume> volumes;
  for (const Json& part : **parts) {
    const auto entries = base::array_member(part, "lv");
    if (!entries) return corrupt(entries.error());
    for (const Json& entry : **entries) {
      auto volume = parse_volume(entry);
      if (!volume) return corrupt(volume.error());
      volumes.push_back(std::move(*volume));
    }
  }
  return volumes;
}

const Volume* find_volume(const std::vector<Volume>& volumes, std::string_view full_name) {
  const auto found = std::find_if(volumes.begin(), volumes.end(), [&](const Volume& volume) {
    return volume.full_name() == full_name;
  });
  return found == volumes.end() ? nullptr : &*found;
}

std::uint64_t snapshot_size(const Volume& origin, int percent) {
  const auto share = static_cast<std::uint64_t>(percent);
  const std::uint64_t wanted =
      origin.size / kPercent * share + origin.size % kPercent * share / kPercent;
  return std::min(std::max(wanted, kLeastSize), std::max(origin.size, kLeastSize));
}

std::vector<std::string> create_command(const Volume& origin, const std::string& name,
                                        std::uint64_t size) {
  std::vector<std::string> command = in_a_session_of_its_own(
      {"lvcreate", "--quiet", "--snapshot", "--permission", "r", "--name", name});
  if (origin.is_thin()) {
    // Thin ones are left out when volumes are activated, unless it is said.
    command.insert(command.end(), {"--setactivationskip", "n", "--activate", "y"});
  } else {
    command.insert(command.end(), {"--size", std::to_string(size) + "b"});
  }
  command.push_back(origin.full_name());
  return command;
}

std::vector<std::string> remove_command(const std::string& full_name) {
  return in_a_session_of_its_own({"lvremove", "--quiet", "--yes", full_name});
}

bool is_volume_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameLimit && name.front() != '-' && name != "." &&
         name != ".." && std::all_of(name.begin(), name.end(), is_name_letter);
}

bool fits_device_mapper(std::string_view group, std::string_view name) {
  const auto doubled = [](std::string_view part) {
    return part.size() + static_cast<std::size_t>(std::count(part.begin(), part.end(), '-'));
  };
  // Of a thick one a second device is made, with "-cow" at its end.
  constexpr std::size_t kBetweenAndEnd = 5;
  return doubled(group) + doubled(name) + kBetweenAndEnd <= kNameLimit;
}

}  // namespace holdfast::host::snapshot
