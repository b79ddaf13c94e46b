// SPDX-License-Identifier: MIT
#include "image/checksum.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <memory>
#include <vector>

#include "base/text.h"
#include "base/unique_fd.h"

namespace holdfast::host::image {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20U;

struct DigestContextDeleter {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using DigestContext = std::unique_ptr<EVP_MD_CTX, DigestContextDeleter>;

std::string hexadecimal(const unsigned char* bytes, std::size_t count) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    text.push_back(kDigits[bytes[i] >> 4U]);
    text.push_back(kDigits[bytes[i] & 0xFU]);
  }
  return text;
}

}  // namespace

Result<FileDigest> digest_file(const std::string& path, const std::stop_token& stop,
                               const Progress& progress) {
  const std::string quoted = "'" + base::printable(path) + "'";
  const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd.valid()) return base::errno_error(errno, "unable to open " + quoted);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return base::errno_error(errno, "unable to read " + quoted);
  if (!S_ISREG(status.st_mode)) {
    return Error(ErrorCode::kRefused, "unable to read " + quoted + ": not a regular file");
  }
  (void)::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);

  const DigestContext context(EVP_MD_CTX_new());
  if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1) {
    return Error(ErrorCode::kInternal, "unable to compute SHA-256");
  }
  FileDigest result;
  std::vector<char> buffer(kPiece);
  for (;;) {
    if (stop.stop_requested()) {
      return Error(ErrorCode::kCancelled, "unable to read " + quoted + ": interrupted");
    }
    const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      return base::errno_error(errno, "unable to read " + quoted);
    }
    if (count == 0) break;
    const auto length = static_cast<std::size_t>(count);
    if (EVP_DigestUpdate(context.get(), buffer.data(), length) != 1) {
      return Error(ErrorCode::kInternal, "unable to compute SHA-256");
    }
    result.bytes += length;
    if (progress) {
      // A file may grow meanwhile.
      const auto done =
          static_cast<std::uint64_t>(status.st_size) > result.bytes
              ? static_cast<double>(result.bytes) / static_cast<double>(status.st_size)
              : 1.0;
      progress(100 * done);
    }
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  if (EVP_DigestFinal_ex(context.get(), digest.data(), &length) != 1) {
    return Error(ErrorCode::kInternal, "unable to compute SHA-256");
  }
  result.sha256 = hexadecimal(digest.data(), length);
  return result;
}

}  // namespace holdfast::host::image
