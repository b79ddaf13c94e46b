// SPDX-License-Identifier: MIT
//
// How the clusters of a stored image are kept: as they are, or each compressed for itself, so that
// any place of the image can still be read alone. It is qcow2's own compression: whoever reads
// qcow2 reads it, as far as their QEMU was built with zstd (QEMU 5.1, 2020).
//
// Threads: plain values.
#pragma once

#include <string_view>

namespace holdfast::host::image {

enum class Compression { kNone, kZstd };

// "none", "zstd": in the configuration, in manifests, and QEMU's own name of it.
[[nodiscard]] constexpr std::string_view name_of(Compression compression) {
  return compression == Compression::kZstd ? "zstd" : "none";
}

}  // namespace holdfast::host::image
