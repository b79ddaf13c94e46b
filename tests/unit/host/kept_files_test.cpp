// SPDX-License-Identifier: MIT
#include "snapshot/keep/kept_files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"
#include "image/point_file.h"
#include "support/temporary_directory.h"

namespace holdfast::host::snapshot {
namespace {

using image::image_of;
using image::is_same_file;
using image::point_file;
using image::point_of;
using image::top_file;
using support::TemporaryDirectory;

const std::string kFirst = "20261122T031020Z-1f3a9c00";
const std::string kSecond = "20261122T031021Z-1f3a9c01";

void write(const std::string& path, const std::string& text) {
  ASSERT_TRUE(base::write_file(path, text, 0600, base::Durable::kNo));
}

bool is_there(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

TEST(PointFile, IsNamedAfterTheImageAndLeadsBackToIt) {
  const std::string image = "/images/vda.qcow2";
  EXPECT_EQ(point_file(image, kFirst), "/images/vda.qcow2.point-" + kFirst);
  EXPECT_EQ(image_of(point_file(image, kFirst)), image);
  EXPECT_EQ(image_of(top_file(image, kFirst)), image);
  EXPECT_EQ(point_of(top_file(image, kFirst)), kFirst);
  EXPECT_EQ(image_of(image), image);
  EXPECT_EQ(point_of(image), "");
}

TEST(PointFile, IsNoneIfWhatFollowsIsNoIdOrStandsInADirectorysName) {
  EXPECT_EQ(image_of("/images/vda.point-update"), "/images/vda.point-update");
  const std::string below = point_file("/images", kFirst) + "/vda.qcow2";
  EXPECT_EQ(image_of(below), below);
}

TEST(KeptFiles, TakesAwaySpareNamesAndNothingElse) {
  const TemporaryDirectory directory;
  const std::string image = directory.file("vda.qcow2");
  write(image, "present");
  write(point_file(image, kFirst), "first");
  write(top_file(image, kSecond), "nowhere else");
  write(image + ".point-mine", "not ours");
  const KeptFiles files(image, {kFirst});
  // Names of what has its own: the present's, and a removed point's of what took its place.
  ASSERT_TRUE(files.give_name(image, top_file(image, kFirst)));
  ASSERT_TRUE(files.give_name(point_file(image, kFirst), point_file(image, kSecond)));
  EXPECT_TRUE(is_same_file(image, top_file(image, kFirst)));
  ASSERT_TRUE(files.tidy({point_file(image, kSecond)}));
  EXPECT_FALSE(is_there(top_file(image, kFirst)));
  EXPECT_TRUE(is_there(point_file(image, kSecond)));
  ASSERT_TRUE(files.tidy({}));
  EXPECT_FALSE(is_there(point_file(image, kSecond)));
  EXPECT_TRUE(is_there(image));
  EXPECT_TRUE(is_there(point_file(image, kFirst)));
  EXPECT_TRUE(is_there(top_file(image, kSecond)));
  EXPECT_TRUE(is_there(image + ".point-mine"));
}

TEST(KeptFiles, GivesANameWhateverHadItBefore) {
  const TemporaryDirectory directory;
  const std::string image = directory.file("vda.qcow2");
  write(image, "present");
  write(point_file(image, kFirst), "first");
  const KeptFiles files(image, {kFirst});
  ASSERT_TRUE(files.give_name(point_file(image, kFirst), image));
  EXPECT_EQ(base::read_file(image, 100).value(), "first");
  ASSERT_TRUE(files.give_name(image, point_file(image, kFirst)));
  EXPECT_TRUE(is_same_file(image, point_file(image, kFirst)));
  EXPECT_FALSE(is_there(image + ".point-.new"));
}

}  // namespace
}  // namespace holdfast::host::snapshot
