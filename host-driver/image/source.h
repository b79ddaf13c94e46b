// SPDX-License-Identifier: MIT
//
// What qemu-img is to open, said in full: every layer with its format and file, in QEMU's "json:"
// form. Nothing is left for qemu-img to probe or to believe from a header: a raw disk whose guest
// wrote a qcow2 header onto it stays raw.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace holdfast::host::image {

struct Layer {
  std::string path;    // absolute
  std::string format;  // "raw", "qcow2"
};

// The chain, top first. An image without a further layer has no backing file, whatever its header
// says. kIo if a file cannot be looked at.
[[nodiscard]] base::Result<std::string> source_of(const std::vector<Layer>& chain);

}  // namespace holdfast::host::image
