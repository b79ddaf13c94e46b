// SPDX-License-Identifier: MIT
#pragma once

#include <functional>

namespace holdfast::host::image {

// Of what takes its time: percent done, 0 to 100. Called by the thread that does it.
using Progress = std::function<void(double)>;

}  // namespace holdfast::host::image
