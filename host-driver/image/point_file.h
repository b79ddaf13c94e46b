// SPDX-License-Identifier: MIT
//
// How the files of restore points beside an image are called: the image's own name always means the
// present, and what is before it is named after it.
//
//   vda.qcow2                     the present
//   vda.qcow2.point-ID            the state of a point, read-only
//   vda.qcow2.point-ID.top        what QEMU calls the present since that point: another name of it
//
// Threads: plain functions.
#pragma once

#include <string>
#include <string_view>

namespace holdfast::host::image {

inline constexpr std::string_view kPointMark = ".point-";
inline constexpr std::string_view kTopMark = ".top";

[[nodiscard]] std::string point_file(std::string_view image, std::string_view id);
[[nodiscard]] std::string top_file(std::string_view image, std::string_view id);

// The image's own name, of that or any of these names.
[[nodiscard]] std::string image_of(std::string_view path);
// The id in such a name; empty: it has none.
[[nodiscard]] std::string point_of(std::string_view path);

// Two names of one file? No, if one of them is not there.
[[nodiscard]] bool is_same_file(const std::string& one, const std::string& other);

}  // namespace holdfast::host::image
