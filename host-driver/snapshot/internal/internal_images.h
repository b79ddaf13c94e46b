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
#include "snapshot/point_images.h"

namespace holdfast::host::snapshot {

class InternalImages final : public PointImages {
 public:
  // Of a machine that is off. `patience`: how long each step may take.
  InternalImages(image::QemuImg& images, base::Millis patience)
      : images_(images), patience_(patience) {}
  // Of one that runs.
  InternalImages(image::QemuImg& images, base::Millis patience, qmp::Client& monitor,
                 const qmp::BlockGraph& graph);

  [[nodiscard]] base::Result<void> remove(const std::string& path,
                                          const std::string& name) override;
  // What would have to go are dirty bitmaps of ours alone.
  [[nodiscard]] base::Result<void> check_apply(const std::string& path,
                                               const std::string& name) override;
  [[nodiscard]] base::Result<void> create(const std::string& path,
                                          const std::string& name) override;
  // QEMU applies nothing while there are dirty bitmaps.
  [[nodiscard]] base::Result<void> apply(const std::string& path, const std::string& name) override;

 private:
  [[nodiscard]] base::Deadline time() const { return base::Deadline::in(patience_); }

  image::QemuImg& images_;
  base::Millis patience_;
  qmp::Client* monitor_ = nullptr;
  // The node of each disk by the path of its first image.
  std::map<std::string, std::string> nodes_;
};

}  // namespace holdfast::host::snapshot
