// SPDX-License-Identifier: MIT
//
// A file that gets its name when it is whole. Until then it stands beside that name as
// NAME.partial, mode 0600, and what is not kept is removed: an interrupted command leaves nothing
// that looks like its work. Never takes the place of another file.
//
// Threads: one at a time. Errors: name the path.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast::host::command {

class PartialFile {
 public:
  // Where the file stands until then.
  [[nodiscard]] static std::string path_of(const std::string& target) {
    return target + ".partial";
  }

  // Empty. An error if there is a partial one already: somebody is at work on it, or was killed.
  [[nodiscard]] static base::Result<PartialFile> of(const std::string& target);
  PartialFile(PartialFile&& other) noexcept;
  PartialFile& operator=(PartialFile&&) = delete;
  ~PartialFile();

  // Where it will stand.
  [[nodiscard]] const std::string& target() const { return target_; }
  // Where it stands now, for who fills it by its name.
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] base::Result<void> write(std::string_view content);
  // On disk, and then named. On failure there is no such file, or somebody else's.
  [[nodiscard]] base::Result<void> keep();

 private:
  PartialFile(const std::string& target, std::string path, base::UniqueFd fd);

  std::string target_;
  // Empty: there is none to be removed.
  std::string path_;
  base::UniqueFd fd_;
};

}  // namespace holdfast::host::command
