// SPDX-License-Identifier: MIT
#include "image/point_file.h"

#include <sys/stat.h>

namespace holdfast::host::image {

namespace {

// "20261120T182114Z-1f3a9c0b"
constexpr std::size_t kIdLength = 25;

bool is_id(std::string_view text) {
  return text.size() == kIdLength &&
         text.find_first_not_of("0123456789abcdefTZ-") == std::string_view::npos;
}

struct Parts {
  std::string_view image;
  std::string_view id;
};

Parts parts_of(std::string_view path) {
  const std::size_t mark = path.rfind(kPointMark);
  if (mark == std::string_view::npos || mark < path.rfind('/') + 1) return {path, {}};
  std::string_view id = path.substr(mark + kPointMark.size());
  if (id.ends_with(kTopMark)) id.remove_suffix(kTopMark.size());
  return is_id(id) ? Parts{path.substr(0, mark), id} : Parts{path, {}};
}

}  // namespace

std::string point_file(std::string_view image, std::string_view id) {
  return std::string(image) + std::string(kPointMark) + std::string(id);
}

std::string top_file(std::string_view image, std::string_view id) {
  return point_file(image, id) + std::string(kTopMark);
}

std::string image_of(std::string_view path) {
  return std::string(parts_of(path).image);
}

std::string point_of(std::string_view path) {
  return std::string(parts_of(path).id);
}

bool is_same_file(const std::string& one, const std::string& other) {
  struct stat first {};
  struct stat second {};
  return ::stat(one.c_str(), &first) == 0 && ::stat(other.c_str(), &second) == 0 &&
         first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

}  // namespace holdfast::host::image
