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
  runner_.outcome.status = 3;
  EXPECT_TRUE(images_.check("/x", soon(), {}));
  runner_.outcome.status = 2;
  EXPECT_EQ(images_.check("/x", soon(), {}).error().code(), ErrorCode::kCorrupt);
  runner_.outcome.status = 1;
  EXPECT_EQ(images_.check("/x", soon(), {}).error().code(), ErrorCode::kProcessFailed);
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

std::string header(std::uint64_t backing, std::uint64_t features) {
  std::string bytes(104, '\0');
  bytes.replace(0, 4, "QFI\xfb");
  bytes[7] = 3;
  bytes[15] = static_cast<char>(backing);
  bytes[31] = 99;  // virtual size
  bytes[79] = static_cast<char>(features);
  return bytes;
}

TEST_F(ImageTest, AcceptsAnImageThatStandsForItself) {
  const auto read = read_standalone_header(write("x", header(0, 1)));
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->virtual_size, 99U);
}

TEST_F(ImageTest, RefusesAnImageThatRefersToAnotherFile) {
  EXPECT_EQ(read_standalone_header(write("b", header(1, 0))).error().code(), ErrorCode::kRefused);
  EXPECT_EQ(read_standalone_header(write("d", header(0, 4))).error().code(), ErrorCode::kRefused);
  const std::string link = directory_.file("link");
  std::filesystem::create_symlink(write("t", header(0, 0)), link);
  EXPECT_EQ(read_standalone_header(link).error().code(), ErrorCode::kRefused);
  EXPECT_EQ(read_standalone_header(directory_.path()).error().code(), ErrorCode::kRefused);
}

TEST_F(ImageTest, RefusesWhatIsNoQcow2) {
  for (const std::string& content :
       {std::string(), std::string("QFI\xfb"), std::string(200, 'x'), header(0, 0).substr(0, 90)}) {
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
