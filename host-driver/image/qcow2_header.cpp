// SPDX-License-Identifier: MIT
#include "image/qcow2_header.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "base/text.h"
#include "base/unique_fd.h"

namespace holdfast::host::image {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

constexpr std::uint32_t kMagic = 0x514649FB;  // "QFI\xfb"
constexpr std::uint64_t kExternalDataFile = 1U << 2U;
constexpr std::uint64_t kOtherCompression = 1U << 3U;
constexpr std::size_t kCompressionAt = 104;
constexpr std::size_t kHeaderSize = 104;  // of version 3, without what a length beyond it adds
constexpr std::uint32_t kEndOfExtensions = 0;
constexpr std::uint32_t kBackingFormat = 0xE2792ACA;
constexpr std::uint32_t kDataFileName = 0x44415441;
constexpr std::uint64_t kLeastClusterBits = 9;
constexpr std::uint64_t kMostClusterBits = 21;
constexpr std::uint64_t kLongestName = 1023;
// Extensions and name stand in the first cluster, and QEMU writes them right behind the header.
constexpr std::size_t kBeginning = std::size_t{64} << 10U;

// The beginning of the file, and numbers out of it; nothing is read beyond its end.
class Beginning {
 public:
  explicit Beginning(std::string bytes) : bytes_(std::move(bytes)) {}

  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] bool has(std::uint64_t at, std::uint64_t count) const {
    return at <= bytes_.size() && count <= bytes_.size() - at;
  }
  // Big-endian; zero where the file has ended.
  [[nodiscard]] std::uint64_t number(std::size_t at, std::size_t count) const {
    std::uint64_t number = 0;
    for (std::size_t i = 0; has(at, count) && i < count; ++i)
      number = (number << 8U) | static_cast<unsigned char>(bytes_[at + i]);
    return number;
  }
  [[nodiscard]] std::string text(std::size_t at, std::size_t count) const {
    return bytes_.substr(at, count);
  }

 private:
  std::string bytes_;
};

// Of a regular file that is no link.
Result<Beginning> read_beginning(const std::string& path, const std::string& quoted) {
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
  std::string bytes(kBeginning, '\0');
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t count =
        ::pread(fd.get(), bytes.data() + filled, bytes.size() - filled, static_cast<off_t>(filled));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::errno_error(errno, "unable to read " + quoted);
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  bytes.resize(filled);
  return Beginning(std::move(bytes));
}

struct Extensions {
  std::string backing_format;
  bool data_file = false;
};

// Nothing: they are not as QEMU writes them.
std::optional<Extensions> read_extensions(const Beginning& file, std::uint64_t at,
                                          std::uint64_t end) {
  Extensions extensions;
  while (at < end) {
    if (!file.has(at, 8)) return std::nullopt;
    const auto kind = static_cast<std::uint32_t>(file.number(at, 4));
    const std::uint64_t length = file.number(at + 4, 4);
    at += 8;
    if (kind == kEndOfExtensions) return extensions;
    if (!file.has(at, length)) return std::nullopt;
    if (kind == kDataFileName) extensions.data_file = true;
    if (kind == kBackingFormat) {
      if (!extensions.backing_format.empty() || length == 0) return std::nullopt;
      extensions.backing_format = file.text(at, length);
    }
    at += (length + 7) & ~std::uint64_t{7};
  }
  return extensions;
}

Error names_another(const std::string& quoted) {
  return {ErrorCode::kRefused, "unable to use " + quoted + ": it refers to another file"};
}

}  // namespace

Result<Qcow2Header> read_header(const std::string& path) {
  const std::string quoted = "'" + base::printable(path) + "'";
  const auto file = read_beginning(path, quoted);
  if (!file) return file.error();
  const Error broken(ErrorCode::kCorrupt, "unable to use " + quoted + ": not a qcow2 image");
  constexpr std::uint64_t kVersion = 3;
  if (file->size() < kHeaderSize || file->number(0, 4) != kMagic ||
      file->number(4, 4) != kVersion) {
    return broken;
  }
  if ((file->number(72, 8) & kExternalDataFile) != 0) return names_another(quoted);
  const std::uint64_t name_at = file->number(8, 8);
  const std::uint64_t name_length = file->number(16, 4);
  const std::uint64_t length = file->number(100, 4);
  const std::uint64_t cluster_bits = file->number(20, 4);
  if (cluster_bits < kLeastClusterBits || cluster_bits > kMostClusterBits) return broken;
  const std::uint64_t cluster = std::uint64_t{1} << cluster_bits;
  if (length < kHeaderSize || length % 8 != 0 || length > cluster) return broken;
  if (name_at != 0 && (name_at < length || name_length == 0 || name_length > kLongestName ||
                       name_at + name_length > cluster || !file->has(name_at, name_length))) {
    return broken;
  }
  CompressionType compression = CompressionType::kZlib;
  if ((file->number(72, 8) & kOtherCompression) != 0) {
    // No other one is known yet (QEMU: docs/interop/qcow2.txt).
    if (length <= kCompressionAt || file->number(kCompressionAt, 1) != 1) return broken;
    compression = CompressionType::kZstd;
  }
  // The extensions end where the name begins, or with the cluster: QEMU looks no further.
  const auto extensions = read_extensions(*file, length, name_at != 0 ? name_at : cluster);
  if (!extensions) return broken;
  if (extensions->data_file) return names_another(quoted);
  return Qcow2Header{file->number(24, 8),
                     name_at != 0 ? file->text(name_at, name_length) : std::string(),
                     extensions->backing_format, compression};
}

Result<Qcow2Header> read_standalone_header(const std::string& path) {
  auto header = read_header(path);
  if (!header) return header;
  if (header->backing_file.empty()) return header;
  return names_another("'" + base::printable(path) + "'");
}

Result<Qcow2Header> read_increment_header(const std::string& path, const std::string& reference) {
  auto header = read_header(path);
  if (!header) return header;
  if (header->backing_file == reference && header->backing_format == "qcow2") return header;
  const std::string found = header->backing_file.empty()
                                ? "has no backing file"
                                : "has the backing file '" + base::printable(header->backing_file) +
                                      "' of format '" +
                                      base::printable(header->backing_format, 40) + "'";
  return Error(ErrorCode::kRefused, "unable to use '" + base::printable(path) + "': it " + found +
                                        ", not the qcow2 image '" + base::printable(reference) +
                                        "'");
}

}  // namespace holdfast::host::image
