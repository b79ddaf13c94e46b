// SPDX-License-Identifier: MIT
//
// The states that restore points keep of one image after another, however they are kept.
//
// Threads: one at a time. Errors: name the image.
#pragma once

#include <string>

#include "base/result.h"

namespace holdfast::host::snapshot {

class PointImages {
 public:
  PointImages() = default;
  PointImages(const PointImages&) = delete;
  PointImages& operator=(const PointImages&) = delete;
  virtual ~PointImages() = default;

  // Postcondition: nothing of this name is kept of the image, and what else is kept of it, the
  // present first of all, is unchanged. Not there is no error. May be repeated.
  [[nodiscard]] virtual base::Result<void> remove(const std::string& path,
                                                  const std::string& name) = 0;

  // These three for images that nobody has open.

  // Can it be reverted to? Changes nothing.
  [[nodiscard]] virtual base::Result<void> check_apply(const std::string& path,
                                                       const std::string& name) = 0;
  // What is there now.
  [[nodiscard]] virtual base::Result<void> create(const std::string& path,
                                                  const std::string& name) = 0;
  // The image's content is what is kept by this name, which stays. Dirty bitmaps go, since they
  // tell nothing of what changes thereby. May be repeated.
  [[nodiscard]] virtual base::Result<void> apply(const std::string& path,
                                                 const std::string& name) = 0;
};

}  // namespace holdfast::host::snapshot
