// SPDX-License-Identifier: MIT
#include "point/store.h"

#include "base/file.h"
#include "base/text.h"
#include "repository/paths.h"

namespace holdfast::host::point {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

constexpr std::size_t kLimit = std::size_t{16} << 20U;

}  // namespace

// A directory of its own: the name of a machine may end with whatever could be put behind
// another's.
Store::Store(const std::string& state_directory, const std::string& vm)
    : directory_(state_directory + "/points"), path_(directory_ + "/" + vm + ".json") {}

Result<Points> Store::load() const {
  const auto text = base::read_file(path_, kLimit);
  if (!text) {
    if (text.error().code() == ErrorCode::kNotFound) return Points{};
    return text.error();
  }
  auto points = parse_points(*text);
  if (points) return points;
  return Error(ErrorCode::kCorrupt,
               "unable to read the restore points in '" + base::printable(path_) + "'")
      .with_hint("they are in the images all the same: 'qemu-img snapshot -l' shows them")
      .caused_by(std::move(points).error());
}

Result<void> Store::save(const Points& points) const {
  if (points.points.empty() && !points.revert && points.images.empty()) {
    return base::remove_file(path_);
  }
  if (auto made = repository::ensure_directory(directory_); !made) return made;
  return base::write_file(path_, base::to_document(to_json(points)), 0600, base::Durable::kYes);
}

void Store::discard_unfinished() const {
  base::discard_unfinished(path_);
}

}  // namespace holdfast::host::point
