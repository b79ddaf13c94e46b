// SPDX-License-Identifier: MIT
//
// The beginning of an image in a repository (image/qcow2_header.h), as whoever can write there has
// made it.
#include "image/qcow2_header.h"

#include <filesystem>

#include "base/file.h"
#include "fuzz.h"
#include "support/temporary_directory.h"

namespace holdfast::fuzz {

namespace {

namespace image = host::image;

using base::ErrorCode;

constexpr std::size_t kLongestName = 1023;
constexpr const char* kReference = "../20261120T182114Z-1f3a9c0b/vda.qcow2";

void check_error(const base::Error& error) {
  require(is_one_safe_line(error.one_line()), "the error is one safe line");
  require(error.code() == ErrorCode::kRefused || error.code() == ErrorCode::kCorrupt,
          "it is refused, or it is no image");
}

}  // namespace

void check(std::string_view input) {
  static const support::TemporaryDirectory kDirectory;
  const std::string path = kDirectory.file("image");
  require(base::write_file(path, input, 0600, base::Durable::kNo).has_value(), "a file");

  const auto header = image::read_header(path);
  const auto alone = image::read_standalone_header(path);
  const auto increment = image::read_increment_header(path, kReference);
  if (!alone) check_error(alone.error());
  if (!increment) check_error(increment.error());
  require(!alone || !increment, "an image stands for itself or on another");
  if (!header) {
    check_error(header.error());
    require(!alone && !increment, "what is no image is none of them");
    return;
  }
  require(header->backing_file.size() <= kLongestName, "a name is no longer than QEMU reads");
  require(alone.has_value() == header->backing_file.empty(), "only without a name does it stand");
  require(increment.has_value() ==
              (header->backing_file == kReference && header->backing_format == "qcow2"),
          "an increment stands on what it should");
  // What QEMU would take for a name is in the file, byte for byte.
  require(input.find(header->backing_file) != std::string_view::npos, "the name is the file's");
}

}  // namespace holdfast::fuzz
