// SPDX-License-Identifier: MIT
//
// The files of one image and of the points that are kept of it, as they are on disk; see
// image/point_file.h for their names. What stands on what is read from their headers, never
// remembered: so a command that was interrupted is gone on with from wherever it was.
//
// A file may have several names: QEMU opens an image again by the name that it had, and none of
// those may come to mean another file, or nothing, before QEMU has let go of it.
//
// Threads: one at a time, under the machine's lock. Errors: name the file.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"

namespace holdfast::host::snapshot {

struct KeptFile {
  std::string path;
  // As in its header; empty: it rests on nothing.
  std::string below;
  std::string below_format;
  std::uint64_t virtual_size = 0;
  // What it takes on disk.
  std::uint64_t bytes = 0;
};

[[nodiscard]] base::Result<KeptFile> read_kept(const std::string& path);

class KeptFiles {
 public:
  // `ids`: of the points that there are.
  KeptFiles(std::string image, std::set<std::string> ids)
      : image_(std::move(image)), ids_(std::move(ids)) {}

  [[nodiscard]] const std::string& image() const { return image_; }
  [[nodiscard]] const std::set<std::string>& ids() const { return ids_; }
  void forget(const std::string& id) { ids_.erase(id); }

  // The present and the points' files that are there, each by one name.
  [[nodiscard]] base::Result<std::vector<KeptFile>> all() const;
  // Those among them that rest on this one.
  [[nodiscard]] base::Result<std::vector<KeptFile>> standing_on(const std::string& path) const;

  // `name` is one more name of `file`, and of nothing else; durable, whatever it was before.
  [[nodiscard]] base::Result<void> give_name(const std::string& file,
                                             const std::string& name) const;
  // The same in a moment, and not durable.
  [[nodiscard]] base::Result<void> give_name_now(const std::string& file,
                                                 const std::string& name) const;

  // Takes away names that are left of what is done with: those that another file of ours has too,
  // unless they are `in_use`. No content goes. Are there none left?
  [[nodiscard]] base::Result<bool> tidy(const std::set<std::string>& in_use) const;

 private:
  [[nodiscard]] bool is_spare(const std::string& path) const;

  std::string image_;
  std::set<std::string> ids_;
};

// Durable; not there is no error.
[[nodiscard]] base::Result<void> drop_file(const std::string& path);

}  // namespace holdfast::host::snapshot
