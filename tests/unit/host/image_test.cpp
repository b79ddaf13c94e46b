// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "base/json_codec.h"
#include "image/checksum.h"
#include "image/qcow2_header.h"
#include "image/qemu_img.h"
#include "image/source.h"
#include "support/temporary_directory.h"

namespace holdfast::host::image {
namespace {

using base::Deadline;
using base::ErrorCode;
using base::Millis;
using base::ProcessOutcome;
using base::ProcessSpec;

// Remembers how it was called and ends as it was told.
class FakeRunner final : public base::ProcessRunner {
 public:
  [[nodiscard]] ProcessOutcome run(const ProcessSpec& spec) override {
    argv = spec.argv;
    if (spec.on_output) spec.on_output(outcome.output);
    return outcome;
  }
  std::vector<std::string> argv;
  ProcessOutcome outcome{ProcessOutcome::Ending::kExited, 0, "", "", false};
};

class ImageTest : public ::testing::Test {
 protected:
  Deadline soon() { return Deadline::in(Millis(1000)); }
  std::string write(const std::string& name, const std::string& content) {
    std::string path = directory_.file(name);
    EXPECT_TRUE(base::write_file(path, content, 0600, base::Durable::kNo));
    return path;
  }
  support::TemporaryDirectory directory_;
  FakeRunner runner_;
  QemuImg images_{runner_, "qemu-img"};
};

TEST(PercentIn, TakesTheLastOfAPiece) {
  EXPECT_EQ(percent_in("    (12.34/100%)\r    (56.78/100%)\r"), 56.78);
  EXPECT_EQ(percent_in("    (100.00/100%)\r"), 100);
  for (const char* none :
       {"", "(/100%)", "12/100%)", "(x/100%)", "(101/100%)", "(-1/100%)", "(12/10"}) {
    EXPECT_LT(percent_in(none), 0) << none;
  }
}

TEST_F(ImageTest, CreatesAnOverlayWithoutOpeningTheBase) {
  ASSERT_TRUE(images_.create_overlay("/o", "/b", "raw", 123, soon()));
  EXPECT_EQ(runner_.argv, (std::vector<std::string>{"qemu-img", "create", "-q", "-f", "qcow2", "-u",
                                                    "-b", "/b", "-F", "raw", "/o", "123"}));
}

TEST_F(ImageTest, CreatesAnImageThatStandsForItself) {
  ASSERT_TRUE(images_.create("/i", 123, soon()));
  EXPECT_EQ(runner_.argv,
            (std::vector<std::string>{"qemu-img", "create", "-q", "-f", "qcow2", "/i", "123"}));
}

TEST_F(ImageTest, CompressesWhatItIsToldTo) {
  EXPECT_TRUE(images_.check_compression(soon()));
  EXPECT_TRUE(runner_.argv.empty());
  images_.compress(Compression::kZstd);
  ASSERT_TRUE(images_.create("/i", 123, soon()));
  EXPECT_EQ(runner_.argv, (std::vector<std::string>{"qemu-img", "create", "-q", "-f", "qcow2", "-o",
                                                    "compression_type=zstd", "/i", "123"}));
  ASSERT_TRUE(images_.create_increment("/i", "../x/i", 123, soon()));
  EXPECT_EQ(runner_.argv, (std::vector<std::string>{"qemu-img", "create", "-q", "-f", "qcow2", "-u",
                                                    "-b", "../x/i", "-F", "qcow2", "-o",
                                                    "compression_type=zstd", "/i", "123"}));
  ASSERT_TRUE(images_.convert("json:{}", "/t", "qcow2", soon(), {}, {}));
  EXPECT_EQ(runner_.argv,
            (std::vector<std::string>{"qemu-img", "convert", "-p", "-c", "-W", "-o",
                                      "compression_type=zstd", "-O", "qcow2", "json:{}", "/t"}));
  // The overlays that guests write to, and raw images, are not compressed.
  ASSERT_TRUE(images_.create_overlay("/o", "/b", "raw", 123, soon()));
  EXPECT_EQ(runner_.argv, (std::vector<std::string>{"qemu-img", "create", "-q", "-f", "qcow2", "-u",
                                                    "-b", "/b", "-F", "raw", "/o", "123"}));
  ASSERT_TRUE(images_.convert("json:{}", "/t", "raw", soon(), {}, {}));
  EXPECT_EQ(runner_.argv,
            (std::vector<std::string>{"qemu-img", "convert", "-p", "-O", "raw", "json:{}", "/t"}));
}

TEST_F(ImageTest, SaysThatItCannotCompress) {
  images_.compress(Compression::kZstd);
  EXPECT_TRUE(images_.check_compression(soon()));
  EXPECT_TRUE(runner_.argv.at(7).starts_with("/proc/"));
  runner_.outcome.status = 1;
  runner_.outcome.error_output = "qemu-img: Invalid parameter 'zstd'\n";
  const auto able = images_.check_compression(soon());
  ASSERT_FALSE(able);
  EXPECT_EQ(able.error().code(), ErrorCode::kUnsupported);
  EXPECT_EQ(
      able.error().one_line(),
      "this qemu-img is unable to compress with zstd: unable to run 'qemu-img create': exited "
      "with status 1: qemu-img: Invalid parameter 'zstd' ('compress = none' does without)");
  runner_.outcome = {ProcessOutcome::Ending::kNotStarted, ENOENT, "", "", false};
  EXPECT_EQ(images_.check_compression(soon()).error().code(), ErrorCode::kNotFound);
}

TEST_F(ImageTest, ConvertsNoFasterThanItMay) {
  images_.limit_rate(65536);
  ASSERT_TRUE(images_.convert("json:{}", "/t", "qcow2", soon(), {}, {}));
  EXPECT_EQ(runner_.argv, (std::vector<std::string>{"qemu-img", "convert", "-p", "-r", "65536",
                                                    "-O", "qcow2", "json:{}", "/t"}));
}

TEST_F(ImageTest, ReportsProgressAndFailureOfAConversion) {
  runner_.outcome.output = "    (40.00/100%)\r";
  double seen = 0;
  ASSERT_TRUE(images_.convert("json:{}", "/t", "qcow2", soon(), {}, [&](double p) { seen = p; }));
  EXPECT_EQ(seen, 40);
  runner_.outcome.status = 1;
  runner_.outcome.error_output = "qemu-img: error: No space left on device\nmore\n";
  const auto failed = images_.convert("json:{}", "/t", "qcow2", soon(), {}, {});
  ASSERT_FALSE(failed);
  EXPECT_EQ(
      failed.error().text(),
      "unable to run 'qemu-img convert': exited with status 1: qemu-img: error: No space left "
      "on device");
}

TEST_F(ImageTest, SaysWhichPackageIsMissing) {
  runner_.outcome = {ProcessOutcome::Ending::kNotStarted, ENOENT, "", "", false};
  const auto version = images_.version(soon());
  ASSERT_FALSE(version);
  EXPECT_EQ(version.error().hint(), "install the package qemu-utils");
}

TEST_F(ImageTest, TellsCorruptFromLeakedFromUnableToCheck) {
  const std::string path = write("x", "");
  runner_.outcome.status = 3;
  EXPECT_TRUE(images_.check(path, soon(), {}));
  // The image below is left out: it has a check of its own, and its name is not to be believed.
  EXPECT_EQ(runner_.argv,
            (std::vector<std::string>{"qemu-img", "check", "-q", *source_of({{path, "qcow2"}})}));
  runner_.outcome.status = 2;
  EXPECT_EQ(images_.check(path, soon(), {}).error().code(), ErrorCode::kCorrupt);
  runner_.outcome.status = 1;
  EXPECT_EQ(images_.check(path, soon(), {}).error().code(), ErrorCode::kProcessFailed);
}

TEST_F(ImageTest, SaysEveryLayerOfASourceWithItsFormat) {
  const std::string top = write("top", "");
  const std::string below = write("be\"low", "");
  const auto source = source_of({{top, "qcow2"}, {below, "raw"}});
  ASSERT_TRUE(source);
  const auto json = base::parse_json(source->substr(5));
  ASSERT_TRUE(json);
  EXPECT_EQ(json->at("driver"), "qcow2");
  EXPECT_EQ(json->at("file").at("filename"), top);
  EXPECT_EQ(json->at("backing").at("driver"), "raw");
  EXPECT_EQ(json->at("backing").at("file").at("filename"), below);
  EXPECT_FALSE(json->at("backing").contains("backing"));
  const auto alone = source_of({{top, "qcow2"}});
  EXPECT_NE(alone->find("\"backing\":null"), std::string::npos);
  EXPECT_EQ(source_of({{"/nonexistent", "raw"}}).error().code(), ErrorCode::kNotFound);
}

void put(std::string& bytes, std::size_t at, std::size_t count, std::uint64_t number) {
  for (std::size_t i = 0; i < count; ++i)
    bytes[at + i] = static_cast<char>(number >> (8 * (count - 1 - i)));
}

std::string extension(std::uint32_t kind, const std::string& data) {
  std::string bytes(8 + (data.size() + 7) / 8 * 8, '\0');
  put(bytes, 0, 4, kind);
  put(bytes, 4, 4, data.size());
  return bytes.replace(8, data.size(), data);
}

// As QEMU lays it out: the header, its extensions, the name of the backing file.
std::string header(const std::string& backing, std::uint64_t features,
                   const std::string& extensions = {}) {
  std::string bytes(104, '\0');
  bytes.replace(0, 4, "QFI\xfb");
  put(bytes, 4, 4, 3);
  put(bytes, 20, 4, 16);  // clusters of 64 KiB
  put(bytes, 24, 8, 99);  // virtual size
  put(bytes, 72, 8, features);
  put(bytes, 100, 4, 104);
  bytes += extensions + extension(0, "");
  if (!backing.empty()) {
    put(bytes, 8, 8, bytes.size());
    put(bytes, 16, 4, backing.size());
  }
  return bytes + backing;
}

constexpr std::uint32_t kFormat = 0xE2792ACA;
constexpr std::uint32_t kFeatureNames = 0x6803f857;
constexpr std::uint32_t kDataFile = 0x44415441;

TEST_F(ImageTest, AcceptsAnImageThatStandsForItself) {
  const auto read = read_standalone_header(write("x", header("", 1)));
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->virtual_size, 99U);
}

TEST_F(ImageTest, ReadsHowAnImageIsCompressed) {
  const auto read = [&](std::uint64_t features, std::uint64_t kind) {
    std::string bytes = header("", features);
    bytes.insert(104, std::string(8, '\0'));
    put(bytes, 100, 4, 112);
    put(bytes, 104, 1, kind);
    return read_standalone_header(write("x", bytes));
  };
  EXPECT_EQ(read(0, 0)->compression, CompressionType::kZlib);
  EXPECT_EQ(read(8, 1)->compression, CompressionType::kZstd);
  for (const std::uint64_t kind : {0U, 2U, 255U}) {
    ASSERT_FALSE(read(8, kind));
    EXPECT_EQ(read(8, kind).error().code(), ErrorCode::kCorrupt);
  }
  // It says that it has the field, and has it not.
  EXPECT_FALSE(read_standalone_header(write("x", header("", 8))));
}

TEST_F(ImageTest, RefusesAnImageThatRefersToAnotherFile) {
  EXPECT_EQ(read_standalone_header(write("b", header("/etc/passwd", 0))).error().code(),
            ErrorCode::kRefused);
  EXPECT_EQ(read_standalone_header(write("d", header("", 4))).error().code(), ErrorCode::kRefused);
  const std::string link = directory_.file("link");
  std::filesystem::create_symlink(write("t", header("", 0)), link);
  EXPECT_EQ(read_standalone_header(link).error().code(), ErrorCode::kRefused);
  EXPECT_EQ(read_standalone_header(directory_.path()).error().code(), ErrorCode::kRefused);
}

TEST_F(ImageTest, RefusesTheNameOfADataFileWithoutItsFeature) {
  const std::string path = write("d", header("", 0, extension(kDataFile, "/etc/passwd")));
  EXPECT_EQ(read_header(path).error().code(), ErrorCode::kRefused);
}

TEST_F(ImageTest, ReadsWhichImageAnIncrementStandsOn) {
  const std::string path = write(
      "i", header("../P/vda.qcow2", 0,
                  extension(kFeatureNames, std::string(60, 'f')) + extension(kFormat, "qcow2")));
  const auto read = read_header(path);
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->virtual_size, 99U);
  EXPECT_EQ(read->backing_file, "../P/vda.qcow2");
  EXPECT_EQ(read->backing_format, "qcow2");
  EXPECT_TRUE(read_increment_header(path, "../P/vda.qcow2"));
  EXPECT_EQ(read_standalone_header(path).error().code(), ErrorCode::kRefused);
}

TEST_F(ImageTest, RefusesAnIncrementOverAnythingElse) {
  const auto text = [&](const std::string& content) {
    const auto read = read_increment_header(write("i", content), "../P/vda.qcow2");
    EXPECT_FALSE(read);
    if (read) return std::string();
    EXPECT_EQ(read.error().code(), ErrorCode::kRefused);
    return read.error().text();
  };
  const std::string lead = "unable to use '" + directory_.file("i") + "': it has ";
  const std::string tail = ", not the qcow2 image '../P/vda.qcow2'";
  const std::string format = extension(kFormat, "qcow2");
  EXPECT_EQ(text(header("", 0)), lead + "no backing file" + tail);
  EXPECT_EQ(text(header("/etc/shadow", 0, format)),
            lead + "the backing file '/etc/shadow' of format 'qcow2'" + tail);
  // A longer name that begins alike: C's strings end at the NUL, ours do not.
  EXPECT_EQ(text(header(std::string("../P/vda.qcow2\0x", 16), 0, format)),
            lead + "the backing file '../P/vda.qcow2\\x00x' of format 'qcow2'" + tail);
  EXPECT_EQ(text(header("../P/vda.qcow2", 0)),
            lead + "the backing file '../P/vda.qcow2' of format ''" + tail);
  EXPECT_EQ(text(header("../P/vda.qcow2", 0, extension(kFormat, "raw"))),
            lead + "the backing file '../P/vda.qcow2' of format 'raw'" + tail);
}

TEST_F(ImageTest, RefusesAHeaderThatContradictsItself) {
  const std::string good = header("name", 0, extension(kFormat, "qcow2"));
  ASSERT_TRUE(read_header(write("g", good)));
  const auto refuses = [&](std::size_t at, std::size_t count, std::uint64_t number) {
    std::string bytes = good;
    put(bytes, at, count, number);
    const auto read = read_header(write("c", bytes));
    return !read && read.error().code() == ErrorCode::kCorrupt;
  };
  EXPECT_TRUE(refuses(4, 4, 2));                 // a version that increments are never written in
  EXPECT_TRUE(refuses(8, 8, 8));                 // the name inside the header
  EXPECT_TRUE(refuses(8, 8, UINT64_MAX - 2));    // or far away
  EXPECT_TRUE(refuses(16, 4, 0));                // no name, yet a place
  EXPECT_TRUE(refuses(16, 4, 1024));             // a name longer than QEMU's
  EXPECT_TRUE(refuses(16, 4, 5));                // beyond the end of the file
  EXPECT_TRUE(refuses(20, 4, 8));                // clusters smaller than QEMU's
  EXPECT_TRUE(refuses(20, 4, 64));               // or larger
  EXPECT_TRUE(refuses(100, 4, 96));              // a header shorter than it is
  EXPECT_TRUE(refuses(100, 4, 108));             // or not in eights
  EXPECT_TRUE(refuses(100, 4, UINT32_MAX - 7));  // or longer than the file
  EXPECT_TRUE(refuses(104 + 4, 4, UINT32_MAX));  // an extension longer than the file
  EXPECT_TRUE(refuses(104 + 4, 4, 0));           // a format without a name
  const std::string twice = extension(kFormat, "raw") + extension(kFormat, "qcow2");
  EXPECT_FALSE(read_header(write("t", header("name", 0, twice))));
  for (std::size_t length = 0; length < good.size(); ++length)
    EXPECT_FALSE(read_header(write("s", good.substr(0, length)))) << length;
}

TEST_F(ImageTest, RefusesWhatIsNoQcow2) {
  for (const std::string& content : {std::string(), std::string("QFI\xfb"), std::string(200, 'x'),
                                     header("", 0).substr(0, 90)}) {
    EXPECT_EQ(read_standalone_header(write("n", content)).error().code(), ErrorCode::kCorrupt);
  }
}

TEST_F(ImageTest, ComputesTheKnownDigest) {
  const auto digest = digest_file(write("abc", "abc"), {});
  ASSERT_TRUE(digest);
  // FIPS 180-4's example.
  EXPECT_EQ(digest->sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest->bytes, 3U);
}

TEST_F(ImageTest, SaysHowFarADigestIs) {
  std::vector<double> percents;
  ASSERT_TRUE(digest_file(write("long", std::string(5U << 19U, 'x')), {},
                          [&](double percent) { percents.push_back(percent); }));
  EXPECT_EQ(percents, std::vector<double>({40, 80, 100}));
}

TEST_F(ImageTest, StopsADigestAndFollowsNoLink) {
  std::stop_source source;
  source.request_stop();
  const std::string path = write("abc", "abc");
  EXPECT_EQ(digest_file(path, source.get_token()).error().code(), ErrorCode::kCancelled);
  const std::string link = directory_.file("link");
  std::filesystem::create_symlink(path, link);
  EXPECT_FALSE(digest_file(link, {}));
  EXPECT_EQ(digest_file(directory_.path(), {}).error().code(), ErrorCode::kRefused);
}

}  // namespace
}  // namespace holdfast::host::image
