// SPDX-License-Identifier: MIT
#include "image/qcow2_header.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>

#include "base/text.h"
#include "base/unique_fd.h"

namespace holdfast::host::image {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

constexpr std::uint32_t kMagic = 0x514649FB;  // "QFI\xfb"
constexpr std::uint64_t kExternalDataFile = 1U << 2U;
constexpr std::size_t kHeaderSize = 104;

std::uint64_t big_endian(const unsigned char* bytes, std::size_t count) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < count; ++i)
    number = (number << 8U) | bytes[i];
  return number;
}

}  // namespace

Result<Qcow2Header> read_standalone_header(const std::string& path) {
  const std::string quoted = "'" + base::printable(path) + "'";
  const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd.valid()) {
    if (errno == ELOOP) {
      return Error(ErrorCode::kRefused, "unable to use " + quoted + ": a symbolic link");
    }
    return base::errno_error(errno, "unable to open " + quoted);
  }
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return Error(ErrorCode::kRefused, "unable to use " + quoted + ": not a regular file");
  }
  std::array<unsigned char, kHeaderSize> header{};
  const ssize_t count = ::pread(fd.get(), header.data(), header.size(), 0);
  if (count < 0) return base::errno_error(errno, "unable to read " + quoted);
  const std::uint64_t version = big_endian(&header[4], 4);
  if (static_cast<std::size_t>(count) < header.size() || big_endian(header.data(), 4) != kMagic ||
      version != 3) {
    return Error(ErrorCode::kCorrupt, "unable to use " + quoted + ": not a qcow2 image");
  }
  if (big_endian(&header[8], 8) != 0 || (big_endian(&header[72], 8) & kExternalDataFile) != 0) {
    return Error(ErrorCode::kRefused, "unable to use " + quoted + ": it refers to another file");
  }
  return Qcow2Header{big_endian(&header[24], 8)};
}

}  // namespace holdfast::host::image
