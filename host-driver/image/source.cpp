// SPDX-License-Identifier: MIT
#include "image/source.h"

#include <sys/stat.h>

#include <cerrno>
#include <stdexcept>

#include "base/json_codec.h"
#include "base/text.h"

namespace holdfast::host::image {

using base::Json;
using base::Result;

Result<std::string> source_of(const std::vector<Layer>& chain) {
  if (chain.empty()) throw std::logic_error("an image without layers");
  Json below;  // null: no backing file
  for (auto layer = chain.rbegin(); layer != chain.rend(); ++layer) {
    struct stat status {};
    if (::stat(layer->path.c_str(), &status) != 0) {
      return base::errno_error(errno,
                               "unable to find the image '" + base::printable(layer->path) + "'");
    }
    Json node{{"driver", layer->format},
              {"file",
               {{"driver", S_ISBLK(status.st_mode) ? "host_device" : "file"},
                {"filename", layer->path}}}};
    if (layer->format == "qcow2") node["backing"] = std::move(below);
    below = std::move(node);
  }
  return "json:" + base::to_line(below);
}

}  // namespace holdfast::host::image
