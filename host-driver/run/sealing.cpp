// SPDX-License-Identifier: MIT
#include "run/sealing.h"

#include <utility>

#include "image/qcow2_header.h"
#include "repository/paths.h"

namespace holdfast::host::run {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;
using image::FileDigest;

Sealing::Sealing(image::QemuImg& images, WrittenCopy copy, Deadline deadline,
                 std::stop_source together)
    : images_(images), copy_(std::move(copy)), deadline_(deadline) {
  done_ = std::async(std::launch::async, [this, together = std::move(together)]() mutable {
    auto sealed = seal(together.get_token());
    if (!sealed) together.request_stop();
    return sealed;
  });
}

bool Sealing::is_done_within(base::Millis time) const {
  return done_.wait_for(time) == std::future_status::ready;
}

Result<FileDigest> Sealing::seal(const std::stop_token& stop) {
  // qemu-img convert writes without flushing (-t unsafe is its default). The disk is at work on it
  // while the processor looks at the copy and adds it up.
  auto flushing =
      std::async(std::launch::async, [this] { return repository::flush_file(copy_.path); });
  if (auto checked = images_.check(copy_.path, deadline_, stop); !checked) {
    return std::move(checked).error();
  }
  const auto header = copy_.reference.empty()
                          ? image::read_standalone_header(copy_.path)
                          : image::read_increment_header(copy_.path, copy_.reference);
  if (!header) return header.error();
  if (header->virtual_size < copy_.virtual_size) {
    return Error(ErrorCode::kCorrupt, "the copy has " + std::to_string(header->virtual_size) +
                                          " bytes, the disk " + std::to_string(copy_.virtual_size));
  }
  auto digest =
      image::digest_file(copy_.path, stop, [this](double percent) { percent_ = percent; });
  if (!digest) return std::move(digest).error();
  if (auto flushed = flushing.get(); !flushed) return std::move(flushed).error();
  return digest;
}

}  // namespace holdfast::host::run
