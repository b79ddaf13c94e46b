// SPDX-License-Identifier: MIT
#include "postgresql/service_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "support/temporary_directory.h"

namespace holdfast::postgresql {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

class ServiceFile : public ::testing::Test {
 protected:
  void write(const std::string& content, mode_t mode = 0644) {
    ASSERT_TRUE(base::write_file(path_, content, mode, base::Durable::kNo));
  }
  std::string refused(const std::string& service) const {
    const auto keywords = read_service(path_, service);
    return keywords ? "" : keywords.error().text();
  }

  support::TemporaryDirectory directory_;
  std::string path_ = directory_.file("services");
};

TEST_F(ServiceFile, GivesTheKeywordsOfOneService) {
  write(
      "# all of them\n[other]\nhost=a\n\n[main]\n host = b c \n#port=1\nport=2\n[last]\nport=3\n");
  const auto keywords = read_service(path_, "main");
  ASSERT_TRUE(keywords);
  EXPECT_THAT(*keywords, ElementsAre(Pair("host", "b c"), Pair("port", "2")));
}

TEST_F(ServiceFile, GivesTheFirstOfTwoOfOneName) {
  write("[main]\nhost=a\n[main]\nhost=b\n");
  EXPECT_THAT(*read_service(path_, "main"), ElementsAre(Pair("host", "a")));
}

TEST_F(ServiceFile, WithoutTheServiceIsRefused) {
  write("[mai]\nhost=a\n");
  EXPECT_EQ(refused("main"), "there is no service 'main' in '" + path_ + "'");
}

TEST_F(ServiceFile, ThatIsMissingIsNamed) {
  EXPECT_EQ(refused("main"), "unable to open '" + path_ + "': No such file or directory");
}

TEST_F(ServiceFile, WithALineThatIsNoneIsRefusedWithItsNumber) {
  write("[main]\nhost=a\nport 2\n");
  EXPECT_EQ(refused("main"), path_ + ":3: a '=' is missing");
  write("[main]\nservice=other\n");
  EXPECT_EQ(refused("main"), path_ + ":2: 'service' can't be used here");
}

TEST_F(ServiceFile, WithAPasswordIsForItsOwnerAlone) {
  write("[main]\npassword=x\n[other]\nhost=a\n");
  EXPECT_EQ(refused("main"),
            "unable to use '" + path_ + "': others than its owner may read or write it");
  // Somebody else's password is somebody else's trouble.
  EXPECT_EQ(refused("other"), "");
  write("[main]\npassword=x\n", 0600);
  EXPECT_THAT(*read_service(path_, "main"), ElementsAre(Pair("password", "x")));
}

}  // namespace
}  // namespace holdfast::postgresql
