// SPDX-License-Identifier: MIT
//
// Points as overlays that are kept: the file of each is read-only, the next one rests on it, and
// the image's own name is the overlay on top. A machine that is started by its own command line
// therefore goes on from where it was, at whatever moment everything else ended.
//
//   remove   nothing rests on it        unlink
//            one point rests on it      that one is committed into its file, which takes its name
//            the present rests on it    the same, or the present takes over what it held, whichever
//                                       is less; the machine stands still for the change of the
//                                       name
//            several do                 all but one take over what it held, then as above
//
// Through the machine's QEMU where it has the files open, else with qemu-img, which refuses a file
// that somebody has open.
//
// Threads: one at a time. Ownership: borrows everything. Errors: name the file.
#pragma once

#include <optional>
#include <set>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "image/qemu_img.h"
#include "snapshot/keep/kept_files.h"
#include "snapshot/keep/kept_nodes.h"
#include "snapshot/point_images.h"

namespace holdfast::host::snapshot {

class KeepImages final : public PointImages {
 public:
  // `monitor` null: the machine is off. `ids`: of all points that there are. `patience`: how long
  // each step may take.
  KeepImages(image::QemuImg& images, base::Millis patience, qmp::Client* monitor,
             Standstill standstill, std::set<std::string> ids, std::stop_token stop);

  // `name` is the point's id, in all of them.
  [[nodiscard]] base::Result<void> remove(const std::string& path,
                                          const std::string& name) override;
  [[nodiscard]] base::Result<void> check_apply(const std::string& path,
                                               const std::string& name) override;
  [[nodiscard]] base::Result<void> create(const std::string& path,
                                          const std::string& name) override;
  // What is there now is lost, unless it has been kept.
  [[nodiscard]] base::Result<void> apply(const std::string& path, const std::string& name) override;

  // The image takes over whatever is below it, and rests on nothing. The points stay.
  [[nodiscard]] base::Result<void> flatten(const std::string& path);

  // Takes away what names of its files nobody needs any more. Are there none left?
  [[nodiscard]] base::Result<bool> tidy_names(const std::string& path);

 private:
  [[nodiscard]] base::Deadline time() const { return base::Deadline::in(patience_); }
  [[nodiscard]] KeptFiles files_of(const std::string& path) const { return {path, ids_}; }
  [[nodiscard]] base::Result<KeptNodes::Chain> chain_of(const std::string& path);

  // From wherever a command was interrupted.
  [[nodiscard]] base::Result<void> make_whole(const std::string& path);
  [[nodiscard]] base::Result<void> rename_to(const KeptFiles& files, const std::string& path);
  [[nodiscard]] base::Result<void> name_present(const KeptFiles& files);
  [[nodiscard]] base::Result<void> settle_top(const KeptFiles& files, const std::string& id);
  [[nodiscard]] base::Result<void> renew_top(const std::string& path);
  [[nodiscard]] base::Result<bool> tidy(const KeptFiles& files);

  [[nodiscard]] base::Result<void> remove_file(const KeptFiles& files, const std::string& kept);
  [[nodiscard]] base::Result<void> merge(const KeptFiles& files, const KeptFile& lower,
                                         const KeptFile& upper);
  [[nodiscard]] base::Result<void> merge_live(const KeptFiles& files, const KeptFile& lower,
                                              const KeptFile& upper, const KeptNodes::Chain& chain);
  [[nodiscard]] base::Result<void> take_over(const KeptFile& upper, const KeptFile& lower);

  image::QemuImg& images_;
  base::Millis patience_;
  Standstill standstill_;
  std::set<std::string> ids_;
  std::stop_token stop_;
  std::optional<KeptNodes> nodes_;
};

}  // namespace holdfast::host::snapshot
