// SPDX-License-Identifier: MIT
#include "image/image_info.h"

#include <algorithm>

#include "base/json_codec.h"

namespace holdfast::host::image {

using base::Json;
using base::Result;

namespace {

constexpr std::size_t kDepth = 16;

Result<ImageSnapshot> parse_snapshot(const Json& entry) {
  auto name = base::string_member(entry, "name");
  if (!name) return std::move(name).error();
  const auto memory = base::integer_member(entry, "vm-state-size");
  if (!memory) return memory.error();
  return ImageSnapshot{std::move(*name), base::integer_member(entry, "date-sec").value_or(0),
                       *memory > 0 ? static_cast<std::uint64_t>(*memory) : 0};
}

// "format-specific": {"type": "qcow2", "data": {...}}; what a format does not have is left out.
Result<void> parse_specific(const Json& document, ImageInfo& info) {
  const auto specific = base::object_member(document, "format-specific");
  if (!specific) return {};
  const auto data = base::object_member(**specific, "data");
  if (!data) return {};
  info.has_data_file = (*data)->contains("data-file");
  const auto bitmaps = base::array_member(**data, "bitmaps");
  if (!bitmaps) return {};
  for (const Json& entry : **bitmaps) {
    auto name = base::string_member(entry, "name");
    if (!name) return std::move(name).error();
    info.bitmaps.push_back(std::move(*name));
  }
  return {};
}

}  // namespace

const ImageSnapshot* ImageInfo::snapshot(std::string_view name) const {
  const auto found = std::find_if(snapshots.begin(), snapshots.end(),
                                  [&](const ImageSnapshot& one) { return one.name == name; });
  return found == snapshots.end() ? nullptr : &*found;
}

Result<ImageInfo> parse_image_info(std::string_view text) {
  const auto document = base::parse_json(text, {kInfoLimit, kDepth});
  if (!document) return document.error();
  ImageInfo info;
  auto format = base::string_member(*document, "format");
  if (!format) return std::move(format).error();
  info.format = std::move(*format);
  // The full name is there where it differs from what stands in the header.
  const auto full = base::string_member(*document, "full-backing-filename");
  info.backing_file =
      full ? *full : base::string_member(*document, "backing-filename").value_or("");
  info.encrypted = base::bool_member(*document, "encrypted").value_or(false);
  if (document->contains("snapshots")) {
    const auto entries = base::array_member(*document, "snapshots");
    if (!entries) return entries.error();
    for (const Json& entry : **entries) {
      auto snapshot = parse_snapshot(entry);
      if (!snapshot) return std::move(snapshot).error();
      info.snapshots.push_back(std::move(*snapshot));
    }
  }
  if (auto parsed = parse_specific(*document, info); !parsed) return std::move(parsed).error();
  return info;
}

}  // namespace holdfast::host::image
