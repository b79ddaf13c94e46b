// SPDX-License-Identifier: MIT
#include "repository/repository.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <barrier>
#include <filesystem>
#include <thread>
#include <vector>

#include "base/file.h"
#include "repository/chain.h"
#include "repository/draft.h"
#include "repository/lock.h"
#include "repository/overview.h"
#include "repository/paths.h"
#include "repository/prune.h"
#include "support/temporary_directory.h"

namespace holdfast::host::repository {
namespace {

namespace fs = std::filesystem;

using base::ErrorCode;
using base::Json;

Json manifest(const std::string& id, const std::string& parent = {}) {
  return {{"schema", 1},
          {"id", id},
          {"vm", "web1"},
          {"begin", "2026-11-20T18:21:14.000Z"},
          {"level", "crash"},
          {"disks", Json::array({{{"name", "vda"},
                                  {"file", "vda.qcow2"},
                                  {"file_format", "qcow2"},
                                  {"virtual_size", 10},
                                  {"bytes", 4},
                                  {"backing", parent.empty() ? Json() : Json{{"id", parent}}},
                                  {"sha256", std::string(64, 'a')}}})}};
}

class RepositoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = Repository::open_or_create(path_);
    ASSERT_TRUE(made) << made.error().text();
    repository_.emplace(std::move(*made));
    auto directory = repository_->make_vm_directory("web1");
    ASSERT_TRUE(directory);
    vm_ = *directory;
  }

  void publish(const std::string& id, const std::string& parent = {}) {
    auto draft = Draft::create(vm_, id);
    ASSERT_TRUE(draft);
    ASSERT_TRUE(
        base::write_file(draft->directory() + "/vda.qcow2", "data", 0600, base::Durable::kNo));
    const auto published = draft->publish(manifest(id, parent));
    ASSERT_TRUE(published) << published.error().text();
    EXPECT_EQ(*published, vm_ + "/" + id);
  }

  const std::string first_ = "20261120T182114Z-00000001";
  // The ids that are left, oldest first.
  std::vector<std::string> left() {
    std::vector<std::string> ids;
    const auto listing = repository_->list("web1");
    EXPECT_TRUE(listing);
    for (const Backup& backup : listing->backups)
      ids.push_back(backup.manifest.id);
    return ids;
  }

  const std::string third_ = "20261122T182114Z-00000003";
  const std::string fourth_ = "20261123T182114Z-00000004";
  const std::string second_ = "20261121T182114Z-00000002";
  support::TemporaryDirectory directory_;
  std::string path_ = directory_.path() + "/deep/repository";
  std::optional<Repository> repository_;
  std::string vm_;
};

TEST_F(RepositoryTest, IsMadeOfNothingAndOpenedAgain) {
  EXPECT_TRUE(Repository::open(path_));
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0700U);
}

TEST_F(RepositoryTest, HasATagThatStaysAndThatNoOtherHas) {
  const std::string tag = repository_->tag();
  EXPECT_EQ(tag.size(), 8U);
  EXPECT_EQ(Repository::open(path_)->tag(), tag);
  EXPECT_EQ(Repository::open_or_create(path_)->tag(), tag);
  EXPECT_NE(Repository::open_or_create(directory_.file("other"))->tag(), tag);
}

TEST_F(RepositoryTest, IsOneAndTheSameForAllWhoMakeItAtOnce) {
  constexpr std::size_t kMakers = 8;
  for (int round = 0; round < 20; ++round) {
    const std::string path = directory_.file("shared" + std::to_string(round));
    std::barrier together(kMakers);
    std::array<std::string, kMakers> tags;
    std::vector<std::thread> makers;
    for (std::size_t i = 0; i < kMakers; ++i) {
      makers.emplace_back([&, i] {
        together.arrive_and_wait();
        const auto made = Repository::open_or_create(path);
        tags.at(i) = made ? made->tag() : made.error().text();
        // What the next step of a run does: a directory that is not ours by its looks.
        if (made) (void)made->make_vm_directory("vm" + std::to_string(i));
      });
    }
    for (std::thread& maker : makers)
      maker.join();
    for (const std::string& tag : tags)
      EXPECT_EQ(tag, Repository::open(path)->tag());
  }
}

TEST_F(RepositoryTest, IsGoneWhereAnotherDirectoryHasComeIntoItsPlace) {
  EXPECT_TRUE(repository_->still_there());
  const std::string away = directory_.file("away");
  std::filesystem::rename(path_, away);
  const auto expect_gone = [&] {
    const auto there = repository_->still_there();
    ASSERT_FALSE(there);
    EXPECT_EQ(there.error().one_line(),
              "the repository '" + path_ + "' is gone (is its filesystem still mounted?)");
    EXPECT_EQ(repository_->make_vm_directory("web2").error().code(), ErrorCode::kNotFound);
  };
  expect_gone();
  std::filesystem::create_directory(path_);
  expect_gone();
  EXPECT_TRUE(std::filesystem::is_empty(path_));
  ASSERT_TRUE(Repository::open_or_create(path_));
  expect_gone();
}

TEST_F(RepositoryTest, IsMadeInFullAfterAMakerHasDied) {
  const std::string path = directory_.file("half");
  std::filesystem::create_directory(path);
  ASSERT_TRUE(base::write_file(path + "/holdfast-repository", "", 0600, base::Durable::kNo));
  EXPECT_FALSE(Repository::open(path));
  const auto made = Repository::open_or_create(path);
  ASSERT_TRUE(made) << made.error().text();
  EXPECT_NE(made->tag(), "00000000");
}

TEST_F(RepositoryTest, RefusesADirectoryThatIsNotOurs) {
  const std::string foreign = directory_.file("foreign");
  fs::create_directory(foreign);
  ASSERT_TRUE(base::write_file(foreign + "/thesis.txt", "x", 0600, base::Durable::kNo));
  const auto opened = Repository::open_or_create(foreign);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().text(),
            "unable to use '" + foreign + "' as a repository: it is not one of Holdfast's");
  EXPECT_FALSE(fs::exists(foreign + "/holdfast-repository"));
  // Nor is a file, or a directory whose mark is only a link.
  EXPECT_FALSE(Repository::open_or_create(foreign + "/thesis.txt"));
  fs::create_symlink(foreign + "/thesis.txt", foreign + "/holdfast-repository");
  EXPECT_FALSE(Repository::open_or_create(foreign));
}

TEST_F(RepositoryTest, ListsWhatIsPublishedOldestFirst) {
  publish(second_);
  publish(first_);
  fs::create_directory(vm_ + "/20261121T182114Z-00000003.failed");
  fs::create_directory(vm_ + "/.incomplete-20261121T182114Z-00000004");
  const auto listing = repository_->list("web1");
  ASSERT_TRUE(listing);
  ASSERT_EQ(listing->backups.size(), 2U);
  EXPECT_EQ(listing->backups[0].manifest.id, first_);
  EXPECT_TRUE(listing->bad.empty());
  EXPECT_EQ(*repository_->vms(), std::vector<std::string>{"web1"});
}

TEST_F(RepositoryTest, FindsByIdBeginningAndLatest) {
  publish(first_);
  publish(second_);
  EXPECT_EQ(repository_->find("web1", "latest")->manifest.id, second_);
  EXPECT_EQ(repository_->find("web1", "20261120")->manifest.id, first_);
  EXPECT_EQ(repository_->find("web1", first_)->manifest.id, first_);
  EXPECT_EQ(repository_->find("web1", "2026").error().code(), ErrorCode::kUsage);
  EXPECT_EQ(repository_->find("web1", "").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(repository_->find("web1", "../web1").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(repository_->find("web2", "latest").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(repository_->find("../web1", "latest").error().code(), ErrorCode::kUsage);
}

TEST_F(RepositoryTest, ShowsABackupWithoutAUsableManifest) {
  publish(first_);
  fs::create_directory(vm_ + "/" + second_);
  const auto listing = repository_->list("web1");
  ASSERT_TRUE(listing);
  EXPECT_EQ(listing->backups.size(), 1U);
  ASSERT_EQ(listing->bad.size(), 1U);
  EXPECT_EQ(listing->bad[0].id, second_);
}

TEST_F(RepositoryTest, RefusesABackupUnderAForeignName) {
  publish(first_);
  fs::rename(vm_ + "/" + first_, vm_ + "/" + second_);
  const auto found = repository_->find("web1", second_);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), ErrorCode::kCorrupt);
}

TEST_F(RepositoryTest, FollowsNoLinkInside) {
  publish(first_);
  const auto backup = repository_->find("web1", first_);
  ASSERT_TRUE(backup);
  const repository::DiskEntry& disk = backup->manifest.disks[0];
  EXPECT_TRUE(Repository::disk_path(backup->directory, disk));
  fs::remove(backup->directory + "/vda.qcow2");
  fs::create_symlink("/etc/passwd", backup->directory + "/vda.qcow2");
  EXPECT_EQ(Repository::disk_path(backup->directory, disk).error().code(), ErrorCode::kRefused);
  fs::create_directory_symlink(vm_, path_ + "/web2");
  EXPECT_EQ(repository_->list("web2").error().code(), ErrorCode::kRefused);
  fs::rename(backup->directory, directory_.file("moved"));
  fs::create_directory_symlink(directory_.file("moved"), vm_ + "/" + first_);
  EXPECT_EQ(repository_->find("web1", first_).error().code(), ErrorCode::kCorrupt);
}

TEST_F(RepositoryTest, NoticesAFileOfAnotherSize) {
  publish(first_);
  const auto backup = repository_->find("web1", first_);
  ASSERT_TRUE(backup);
  fs::resize_file(backup->directory + "/vda.qcow2", 3);
  const auto path = Repository::disk_path(backup->directory, backup->manifest.disks[0]);
  ASSERT_FALSE(path);
  EXPECT_EQ(path.error().code(), ErrorCode::kCorrupt);
}

TEST_F(RepositoryTest, RemovesADraftThatIsNotPublished) {
  {
    const auto draft = Draft::create(vm_, first_);
    ASSERT_TRUE(draft);
    EXPECT_TRUE(fs::exists(draft->directory()));
  }
  EXPECT_TRUE(fs::is_empty(vm_));
}

TEST_F(RepositoryTest, NeverPublishesOverAnotherBackup) {
  publish(first_);
  auto draft = Draft::create(vm_, first_);
  ASSERT_TRUE(draft);
  const auto again = draft->publish(manifest(first_));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), ErrorCode::kExists);
  EXPECT_TRUE(repository_->find("web1", first_));
}

TEST_F(RepositoryTest, KeepsAFailedDraftUnderANameThatIsNoBackup) {
  auto draft = Draft::create(vm_, first_);
  ASSERT_TRUE(draft);
  const auto kept = draft->keep_as_failed(manifest(first_));
  ASSERT_TRUE(kept);
  EXPECT_EQ(*kept, vm_ + "/" + first_ + ".failed");
  EXPECT_TRUE(repository_->list("web1")->backups.empty());
}

TEST_F(RepositoryTest, RemovesWhatIsIncompleteAndNothingElse) {
  publish(first_);
  fs::create_directory(vm_ + "/.incomplete-x");
  fs::create_directory_symlink(directory_.path(), vm_ + "/.incomplete-link");
  const auto removed = repository_->remove_incomplete("web1");
  ASSERT_TRUE(removed);
  EXPECT_EQ(removed->size(), 2U);
  EXPECT_TRUE(repository_->find("web1", first_));
  EXPECT_TRUE(fs::exists(directory_.path()));
}

TEST_F(RepositoryTest, CountsWhatEachBackupNeeds) {
  publish(first_);
  publish(second_, first_);
  publish(third_, "20261101T182114Z-00000003");
  publish(fourth_, third_);
  const auto lengths = chain_lengths(overview(*repository_, "web1", Source::kManifests)->backups);
  EXPECT_EQ(lengths, (std::vector<std::optional<std::size_t>>{1, 2, std::nullopt, std::nullopt}));
  EXPECT_EQ(*chain_of(*repository_, *repository_->find("web1", second_)),
            (std::vector<std::string>{second_, first_}));
  EXPECT_EQ(chain_of(*repository_, *repository_->find("web1", fourth_)).error().code(),
            ErrorCode::kCorrupt);
}

TEST_F(RepositoryTest, PrunesWhatNoRuleKeeps) {
  publish(first_);
  publish(second_, first_);
  publish(third_);
  const auto planned = prune(*repository_, "web1", {.last = 1}, Removal::kNone, {});
  ASSERT_TRUE(planned);
  EXPECT_EQ(left().size(), 3U);
  EXPECT_FALSE(planned->backups[1].decision.keep());
  EXPECT_FALSE(planned->backups[1].removed);
  const auto pruned = prune(*repository_, "web1", {.last = 1}, Removal::kReal, {});
  ASSERT_TRUE(pruned);
  EXPECT_FALSE(pruned->problem);
  EXPECT_TRUE(pruned->backups[0].removed);
  EXPECT_TRUE(pruned->backups[1].removed);
  EXPECT_EQ(left(), std::vector<std::string>{third_});
  EXPECT_EQ(std::distance(fs::directory_iterator(vm_), {}), 1);
}

TEST_F(RepositoryTest, NeverPrunesWithoutARule) {
  publish(first_);
  publish(second_);
  const auto pruned = prune(*repository_, "web1", {}, Removal::kReal, {});
  ASSERT_FALSE(pruned);
  EXPECT_EQ(pruned.error().code(), ErrorCode::kConfiguration);
  EXPECT_EQ(pruned.error().one_line(),
            "no rule says which backups of 'web1' to keep (set keep-last, keep-daily or another of "
            "these keys)");
  EXPECT_EQ(left().size(), 2U);
}

TEST_F(RepositoryTest, KeepsWhatIsProtectedAndWhatItStandsOn) {
  publish(first_);
  publish(second_, first_);
  publish(third_, second_);
  publish(fourth_);
  ASSERT_TRUE(set_protected(*repository_->find("web1", second_), true));
  ASSERT_TRUE(set_protected(*repository_->find("web1", second_), true));
  EXPECT_TRUE(repository_->find("web1", second_)->is_protected);
  ASSERT_TRUE(prune(*repository_, "web1", {.last = 1}, Removal::kReal, {}));
  EXPECT_EQ(left(), (std::vector<std::string>{first_, second_, fourth_}));
  ASSERT_TRUE(set_protected(*repository_->find("web1", second_), false));
  ASSERT_TRUE(prune(*repository_, "web1", {.last = 1}, Removal::kReal, {}));
  EXPECT_EQ(left(), std::vector<std::string>{fourth_});
}

TEST_F(RepositoryTest, NeverRemovesABackupWithoutAUsableManifest) {
  publish(first_);
  fs::create_directory(vm_ + "/" + second_);
  publish(third_);
  publish(fourth_);
  const auto pruned = prune(*repository_, "web1", {.last = 1}, Removal::kReal, {});
  ASSERT_TRUE(pruned);
  ASSERT_EQ(pruned->unusable.size(), 1U);
  EXPECT_EQ(pruned->unusable[0].id, second_);
  EXPECT_TRUE(fs::exists(vm_ + "/" + second_));
  EXPECT_EQ(left(), (std::vector<std::string>{first_, fourth_}));
}

TEST_F(RepositoryTest, RemovesAnIncrementBeforeWhatItStandsOn) {
  publish(first_);
  publish(second_, first_);
  publish(third_, second_);
  publish(fourth_);
  // In the way of the second one's removal.
  fs::create_directories(vm_ + "/.removing-" + second_ + "/x");
  const auto pruned = prune(*repository_, "web1", {.last = 1}, Removal::kReal, {});
  ASSERT_TRUE(pruned);
  ASSERT_TRUE(pruned->problem);
  EXPECT_EQ(pruned->problem->text(),
            "unable to remove '" + vm_ + "/" + second_ + "': Directory not empty");
  EXPECT_EQ(left(), (std::vector<std::string>{first_, second_, fourth_}));
  // What a crash left is no backup, and is cleared away.
  EXPECT_EQ(*repository_->remove_incomplete("web1"),
            std::vector<std::string>{".removing-" + second_});
  ASSERT_TRUE(prune(*repository_, "web1", {.last = 1}, Removal::kReal, {}));
  EXPECT_EQ(left(), std::vector<std::string>{fourth_});
}

TEST_F(RepositoryTest, StopsBetweenTwoRemovals) {
  publish(first_);
  publish(second_);
  std::stop_source source;
  source.request_stop();
  const auto pruned = prune(*repository_, "web1", {.last = 1}, Removal::kReal, source.get_token());
  ASSERT_TRUE(pruned && pruned->problem);
  EXPECT_EQ(pruned->problem->code(), ErrorCode::kCancelled);
  EXPECT_EQ(left().size(), 2U);
}

TEST(Lock, IsHeldOnceAndNamesItsHolder) {
  support::TemporaryDirectory directory;
  const std::string path = directory.file("lock");
  {
    const auto first = Lock::acquire(path, "'web1'");
    ASSERT_TRUE(first);
    const auto second = Lock::acquire(path, "'web1'");
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), ErrorCode::kLocked);
    EXPECT_EQ(second.error().text(),
              "another run is at work on 'web1': process " + std::to_string(::getpid()));
  }
  EXPECT_TRUE(Lock::acquire(path, "'web1'"));
}

}  // namespace
}  // namespace holdfast::host::repository
