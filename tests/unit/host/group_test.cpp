// SPDX-License-Identifier: MIT
#include "repository/group.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "repository/draft.h"
#include "repository/prune.h"
#include "support/temporary_directory.h"

namespace holdfast::host::repository {
namespace {

using base::Json;

constexpr const char* kId = "20261120T182114Z-1f3a9c0b";

class GroupTest : public testing::Test {
 protected:
  GroupTest() { std::filesystem::create_directories(backup_); }
  Binding binding() { return binding_of(directory_.path(), backup_, kId).value(); }

  support::TemporaryDirectory directory_;
  std::string backup_ = directory_.path() + "/web1/" + kId;
};

TEST_F(GroupTest, BindsInOneStepAndNeedsNoRecordAfterTheLast) {
  EXPECT_EQ(binding(), Binding::kNone);
  ASSERT_TRUE(mark_unbound(backup_));
  EXPECT_EQ(binding(), Binding::kUnbound);
  ASSERT_TRUE(
      repository::bind(directory_.path(), kId, {{"name", "shop"}, {"members", {"db1", "web1"}}}));
  EXPECT_EQ(binding(), Binding::kBound);
  ASSERT_TRUE(unmark(backup_));
  ASSERT_TRUE(unmark(backup_));
  EXPECT_EQ(binding(), Binding::kNone);
  const auto group = find_group(directory_.path(), kId);
  ASSERT_TRUE(group) << group.error().text();
  EXPECT_EQ(group->name, "shop");
  EXPECT_EQ(group->members, (std::vector<std::string>{"db1", "web1"}));
  ASSERT_TRUE(forget_group(directory_.path(), kId));
  ASSERT_TRUE(forget_group(directory_.path(), kId));
  EXPECT_EQ(find_group(directory_.path(), kId).error().code(), base::ErrorCode::kNotFound);
  EXPECT_EQ(binding(), Binding::kNone);
}

TEST_F(GroupTest, SaysThatItCannotBeKnownRatherThanThatItIsUnbound) {
  ASSERT_TRUE(mark_unbound(backup_));
  std::filesystem::create_directories(directory_.path() + "/.groups/" + kId + ".json");
  EXPECT_FALSE(binding_of(directory_.path(), backup_, kId));
  EXPECT_FALSE(find_group(directory_.path(), kId));
  EXPECT_FALSE(binding_of(directory_.path(), backup_, kId));
}

// Of two machines, in a repository.
class GroupsTest : public testing::Test {
 protected:
  GroupsTest() : repository_(Repository::open_or_create(directory_.path() + "/r").value()) {}

  std::string publish(const std::string& vm, const std::string& id, bool group,
                      const std::string& parent = {}, bool unbound = false) {
    const std::string directory = repository_.make_vm_directory(vm).value();
    auto draft = Draft::create(directory, id);
    EXPECT_TRUE(draft);
    if (unbound) {
      EXPECT_TRUE(mark_unbound(draft->directory()));
    }
    const Json members{"db1", "web1"};
    return draft
        ->publish(
            {{"schema", 1},
             {"id", id},
             {"vm", vm},
             {"group", group ? Json{{"name", "shop"}, {"members", members}} : Json()},
             {"begin", "2026-11-20T18:21:14.000Z"},
             {"level", "crash"},
             {"disks", Json::array({{{"name", "vda"},
                                     {"file", "vda.qcow2"},
                                     {"file_format", "qcow2"},
                                     {"virtual_size", 10},
                                     {"bytes", 4},
                                     {"backing", parent.empty() ? Json() : Json{{"id", parent}}},
                                     {"sha256", std::string(64, 'a')}}})}})
        .value();
  }
  std::vector<std::string> left(const std::string& vm) {
    std::vector<std::string> ids;
    const Listing listing = repository_.list(vm).value();
    for (const Backup& backup : listing.backups)
      ids.push_back(backup.manifest.id.substr(0, 8));
    return ids;
  }
  void prune_both() {
    for (const char* vm : {"db1", "web1"}) {
      const auto pruned = prune(repository_, vm, {.last = 1}, Removal::kReal, {});
      ASSERT_TRUE(pruned) << pruned.error().text();
    }
  }

  const std::string first_ = "20261120T182114Z-00000001";
  const std::string second_ = "20261121T182114Z-00000002";
  const std::string third_ = "20261122T182114Z-00000003";
  const std::string fourth_ = "20261123T182114Z-00000004";
  support::TemporaryDirectory directory_;
  Repository repository_;
};

TEST_F(GroupsTest, KeepTheirMembersTogetherAndWhatTheseStandOn) {
  for (const char* vm : {"db1", "web1"})
    (void)publish(vm, first_, true);
  (void)publish("db1", second_, true, first_);
  (void)publish("web1", second_, true);
  (void)publish("db1", third_, false);
  // Of web1 the second one is the newest, of db1 it stays for that, with the first one, on which it
  // stands; and so web1's first one does.
  prune_both();
  EXPECT_EQ(left("db1"), (std::vector<std::string>{"20261120", "20261121", "20261122"}));
  EXPECT_EQ(left("web1"), (std::vector<std::string>{"20261120", "20261121"}));
  (void)publish("web1", fourth_, false);
  ASSERT_TRUE(repository::bind(repository_.path(), first_, Json::object()));
  ASSERT_TRUE(repository::bind(repository_.path(), second_, Json::object()));
  prune_both();
  EXPECT_EQ(left("db1"), std::vector<std::string>{"20261122"});
  EXPECT_EQ(left("web1"), std::vector<std::string>{"20261123"});
  EXPECT_TRUE(std::filesystem::is_empty(repository_.path() + "/.groups"));
}

TEST_F(GroupsTest, KeepTheRecordAsLongAsAMemberMayNeedIt) {
  (void)publish("db1", first_, true, {}, true);
  const std::string other = publish("web1", first_, true, {}, true);
  ASSERT_TRUE(repository::bind(repository_.path(), first_, Json::object()));
  std::filesystem::remove(other + "/manifest.json");
  (void)publish("db1", second_, false);
  (void)publish("web1", second_, false);
  prune_both();
  EXPECT_EQ(left("db1"), std::vector<std::string>{"20261121"});
  EXPECT_EQ(binding_of(repository_.path(), other, first_).value(), Binding::kBound);
}

TEST_F(GroupsTest, AreNoBackupsBeforeTheyAreBound) {
  (void)publish("db1", first_, false);
  (void)publish("db1", second_, true, {}, true);
  EXPECT_EQ(left("db1"), std::vector<std::string>{"20261120"});
  EXPECT_EQ(repository_.find("db1", "latest")->manifest.id, first_);
  EXPECT_EQ(repository_.find("db1", second_).error().code(), base::ErrorCode::kCorrupt);
  EXPECT_EQ(repository_.remove_incomplete("db1").value(), std::vector<std::string>{second_});
  EXPECT_FALSE(std::filesystem::exists(repository_.path() + "/db1/" + second_));
  (void)publish("db1", third_, true, {}, true);
  ASSERT_TRUE(repository::bind(repository_.path(), third_, Json::object()));
  EXPECT_EQ(repository_.find("db1", "latest")->manifest.id, third_);
  EXPECT_TRUE(repository_.remove_incomplete("db1")->empty());
  EXPECT_EQ(left("db1"), (std::vector<std::string>{"20261120", "20261122"}));
}

TEST(ParseGroup, BelievesNoGroupThatIsNone) {
  EXPECT_TRUE(parse_group(Json::object()).value().members.empty());
  EXPECT_TRUE(parse_group({{"group", nullptr}}).value().members.empty());
  for (const char* wrong :
       {R"({"group": 1})", R"({"group": {}})", R"({"group": {"name": "../x", "members": ["a"]}})",
        R"({"group": {"name": "x", "members": []}})", R"({"group": {"name": "x", "members": [1]}})",
        R"({"group": {"name": "x", "members": ["../a"]}})"}) {
    EXPECT_FALSE(parse_group(Json::parse(wrong))) << wrong;
  }
  EXPECT_FALSE(find_group("/nowhere", "../../etc/passwd"));
}

}  // namespace
}  // namespace holdfast::host::repository
