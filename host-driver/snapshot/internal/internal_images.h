// SPDX-License-Identifier: MIT
//
// Internal snapshots in the images of a machine, whether it runs or not: through its monitor where
// it has the image open as a disk's, else with qemu-img, which refuses an image that is in use.
//
// Threads: one at a time. Ownership: borrows everything. Errors: name the image.
#pragma once

#include <map>
#include <string>

#include "base/clock.h"
#include "image/qemu_img.h"
#include "qmp/block_graph.h"
#include "qmp/client.h"

namespace holdfast::host::snapshot {

class InternalImages {
 public:
  // Of a machine that is off. `patience`: how long each step may take.
  InternalImages(image::QemuImg& images, base::Millis patience)
      : images_(images), patience_(patience) {}
  // Of one that runs.
  InternalImages(image::QemuImg& images, base::Millis patience, qmp::Client& monitor,
                 const qmp::BlockGraph& graph);

  // Postcondition: the image has no snapshot of this name; no change, and no image, is no error.
  // Anything else is said, and may be repeated.
  [[nodiscard]] base::Result<void> remove(const std::string& path, const std::string& name);

  // These three for images that nobody has open.

  // Can it be reverted to? It has the snapshot, and what would have to go are dirty bitmaps of ours
  // alone. Changes nothing.
  [[nodiscard]] base::Result<void> check_apply(const std::string& path, const std::string& name);
  // What is there now.
  [[nodiscard]] base::Result<void> create(const std::string& path, const std::string& name);
  // The image's content is that of the snapshot, which stays. Its dirty bitmaps go, since they tell
  // nothing of what changes thereby, and QEMU applies nothing while there are any. May be repeated.
  [[nodiscard]] base::Result<void> apply(const std::string& path, const std::string& name);

 private:
  [[nodiscard]] base::Deadline time() const { return base::Deadline::in(patience_); }

  image::QemuImg& images_;
  base::Millis patience_;
  qmp::Client* monitor_ = nullptr;
  // The node of each disk by the path of its first image.
  std::map<std::string, std::string> nodes_;
};

}  // namespace holdfast::host::snapshot
