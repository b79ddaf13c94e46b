// SPDX-License-Identifier: MIT
//
// Points as snapshots of subvolumes, which hold the images of a machine as they were. To go back to
// one, each image is replaced, in one step, by a clone of what is kept of it:
//
//   IMAGE                                       the present
//   SUBVOLUME/.holdfast-point-VM-ID/.../IMAGE   the state of a point, read-only
//   IMAGE.holdfast-revert                       the clone until it takes the image's name; of no
//                                               use to anybody else, and made anew if it is found
//
// What is below an image is not replaced: nobody writes to it, and where somebody has, there is no
// way back.
//
// Threads: one at a time. Ownership: borrows `images`. Errors: name the file.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "image/qemu_img.h"
#include "image/source.h"
#include "snapshot/journal.h"
#include "snapshot/point_images.h"

namespace holdfast::host::snapshot {

// What a point has: its snapshots, and each of its images with what is below it, both as they are
// called, and where they are kept; what is in no snapshot, by its own name.
struct KeptSubvolumes {
  struct Image {
    std::vector<image::Layer> now;
    std::vector<image::Layer> kept;
  };
  std::vector<JournalSnapshot> snapshots;
  std::vector<Image> images;
};

class SubvolumeImages final : public PointImages {
 public:
  // `points` by their ids. `patience`: how long each step may take.
  SubvolumeImages(image::QemuImg& images, base::Millis patience,
                  std::map<std::string, KeptSubvolumes> points)
      : images_(images), patience_(patience), points_(std::move(points)) {}

  // `name` is the point's id, in all of them. A snapshot goes as a whole, and the other images of
  // its subvolume with it.
  [[nodiscard]] base::Result<void> remove(const std::string& path,
                                          const std::string& name) override;
  [[nodiscard]] base::Result<void> check_apply(const std::string& path,
                                               const std::string& name) override;
  // Likewise all images of it.
  [[nodiscard]] base::Result<void> create(const std::string& path,
                                          const std::string& name) override;
  // Owner, mode, ACLs and other attributes are as the image had them last.
  [[nodiscard]] base::Result<void> apply(const std::string& path, const std::string& name) override;

 private:
  [[nodiscard]] base::Deadline time() const { return base::Deadline::in(patience_); }
  [[nodiscard]] base::Result<const KeptSubvolumes*> find(const std::string& name) const;
  [[nodiscard]] base::Result<const KeptSubvolumes::Image*> find_image(
      const std::string& path, const std::string& name) const;
  [[nodiscard]] base::Result<void> make_clone(const KeptSubvolumes::Image& image,
                                              const std::string& clone);

  image::QemuImg& images_;
  base::Millis patience_;
  std::map<std::string, KeptSubvolumes> points_;
};

}  // namespace holdfast::host::snapshot
