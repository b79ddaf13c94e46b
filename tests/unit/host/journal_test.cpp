// SPDX-License-Identifier: MIT
#include "snapshot/journal.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "snapshot/overlay/overlay_settler.h"
#include "support/scripted_peer.h"
#include "support/temporary_directory.h"

namespace holdfast::host::snapshot {
namespace {

using base::Deadline;
using base::ErrorCode;
using base::Json;
using base::Millis;
using namespace support;

Journal sample(const std::string& overlay_path) {
  return {"1f3a9c0b",
          "overlay",
          true,
          {{"vda", "holdfast-1f3a9c0b-0", overlay_path, "base", "/base.raw", false}}};
}

TEST(Journal, ReadsBackWhatItWrote) {
  TemporaryDirectory directory;
  const JournalFile file(directory.file("web1.json"));
  EXPECT_FALSE(file.load()->has_value());
  ASSERT_TRUE(file.save(sample("/o")));
  const auto loaded = file.load();
  ASSERT_TRUE(loaded && *loaded);
  EXPECT_EQ(to_json(**loaded), to_json(sample("/o")));
  ASSERT_TRUE(file.remove());
  ASSERT_TRUE(file.remove());
  EXPECT_FALSE(file.load()->has_value());
}

TEST(Journal, KeepsTheSnapshotsBelowQemuAndThatTheMachineIsToGoOn) {
  TemporaryDirectory directory;
  const JournalFile file(directory.file("web1.json"));
  const Journal journal{"1f3a9c0b", "btrfs", true, {}, {{"/srv", "/srv/.holdfast-web1-0"}}, true};
  ASSERT_TRUE(file.save(journal));
  const auto loaded = file.load();
  ASSERT_TRUE(loaded && *loaded);
  EXPECT_EQ(to_json(**loaded), to_json(journal));
  EXPECT_EQ((*loaded)->snapshots.front().path, "/srv/.holdfast-web1-0");
  EXPECT_TRUE((*loaded)->resume);
}

TEST(Journal, ReadsThoseOfBeforeTheseWereThere) {
  const auto read =
      parse_journal(R"({"schema":1,"run":"x","method":"o","may_be_taken":true,"disks":[]})");
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->snapshots.empty());
  EXPECT_FALSE(read->resume);
}

TEST(Journal, RefusesWhatIsNone) {
  TemporaryDirectory directory;
  const JournalFile file(directory.file("web1.json"));
  for (const char* text :
       {"", "{}", "[]", R"({"schema": 2})",
        R"({"schema":1,"run":"x","method":"o","may_be_taken":true,"disks":[1]})",
        R"({"schema":1,"run":"x","method":"o","may_be_taken":true,"disks":[],"snapshots":[{}]})",
        R"({"schema":1,"run":"x","method":"o","may_be_taken":true,"disks":[],"resume":1})"}) {
    ASSERT_TRUE(base::write_file(file.path(), text, 0600, base::Durable::kNo));
    const auto loaded = file.load();
    ASSERT_FALSE(loaded) << text;
    EXPECT_EQ(loaded.error().code(), ErrorCode::kCorrupt);
  }
}

// A qemu-img that says one thing.
class FakeRunner final : public base::ProcessRunner {
 public:
  [[nodiscard]] base::ProcessOutcome run(const base::ProcessSpec&) override { return outcome; }
  base::ProcessOutcome outcome{base::ProcessOutcome::Ending::kExited, 0, "", "", false};
};

class SettlerTest : public ::testing::Test {
 protected:
  // What QEMU answers when asked for nodes and devices.
  static std::vector<Exchange> look(const Json& nodes, const std::string& root) {
    return {returns("query-named-block-nodes", nodes),
            returns("query-block",
                    Json::array({{{"device", "vda"}, {"inserted", {{"node-name", root}}}}}))};
  }
  static Json node(const std::string& name) {
    return {{"node-name", name}, {"drv", "qcow2"}, {"file", "/x"}};
  }
  static Json job(const std::string& status) {
    return Json::array(
        {{{"id", "holdfast-1f3a9c0b-0-commit"}, {"type", "commit"}, {"status", status}}});
  }

  base::Result<void> settle(std::vector<Exchange> script, Journal& journal) {
    script.insert(script.begin(), returns("qmp_capabilities", Json::object()));
    ScriptedPeer peer(kQmpGreeting, std::move(script));
    auto client = qmp::Client::connect(peer.path(), Deadline::in(Millis(5000)), {});
    EXPECT_TRUE(client);
    OverlaySettler settler(*client, images_, file_);
    auto settled = settler.settle(journal, Deadline::in(Millis(5000)), {});
    problem_ = peer.finish();
    return settled;
  }

  static std::vector<Exchange> joined(std::vector<std::vector<Exchange>> parts) {
    std::vector<Exchange> all;
    for (auto& part : parts)
      all.insert(all.end(), part.begin(), part.end());
    return all;
  }

  void SetUp() override {
    ASSERT_TRUE(base::write_file(overlay_, "x", 0600, base::Durable::kNo));
    ASSERT_TRUE(file_.save(journal_));
  }
  bool overlay_is_there() const { return base::read_file(overlay_, 10).has_value(); }

  TemporaryDirectory directory_;
  const std::string overlay_ = directory_.file("web1.vda.holdfast-1f3a9c0b.qcow2");
  JournalFile file_{directory_.file("web1.json")};
  Journal journal_ = sample(overlay_);
  FakeRunner runner_;
  image::QemuImg images_{runner_, "qemu-img"};
  const std::string node_ = "holdfast-1f3a9c0b-0";
  std::string problem_;
};

TEST_F(SettlerTest, CommitsAnOverlayThatIsOnTop) {
  const auto settled = settle(
      joined({look(Json::array({node(node_), node("base")}), node_),
              {returns("query-jobs", Json::array()), returns("block-commit", Json::object()),
               returns("query-jobs", job("ready")), returns("job-complete", Json::object()),
               returns("query-jobs", job("concluded")), returns("job-dismiss", Json::object())},
              look(Json::array({node(node_), node("base")}), "base"),
              {returns("blockdev-del", Json::object())}}),
      journal_);
  EXPECT_TRUE(settled) << settled.error().text();
  EXPECT_EQ(problem_, "");
  EXPECT_FALSE(overlay_is_there());
  EXPECT_FALSE(file_.load()->has_value());
}

TEST_F(SettlerTest, GoesOnWithTheJobOfAKilledRun) {
  const auto settled = settle(
      joined({look(Json::array({node(node_), node("base")}), node_),
              {returns("query-jobs", job("running")), returns("query-jobs", job("ready")),
               returns("job-complete", Json::object()), returns("query-jobs", job("concluded")),
               returns("job-dismiss", Json::object())},
              look(Json::array({node(node_)}), "base"),
              {returns("blockdev-del", Json::object())}}),
      journal_);
  EXPECT_TRUE(settled) << settled.error().text();
  EXPECT_EQ(problem_, "");
}

TEST_F(SettlerTest, RecognisesACommitThatConcludedButWasNotWrittenDown) {
  const auto settled = settle(
      joined({look(Json::array({node(node_)}), "base"),
              {returns("query-jobs", job("concluded")), returns("query-jobs", job("concluded")),
               returns("job-dismiss", Json::object())},
              look(Json::array({node(node_)}), "base"),
              {returns("blockdev-del", Json::object())}}),
      journal_);
  EXPECT_TRUE(settled) << settled.error().text();
  EXPECT_EQ(problem_, "");
}

TEST_F(SettlerTest, DetachesAnOverlayThatWasNeverUsed) {
  const auto settled = settle(joined({look(Json::array({node(node_)}), "base"),
                                      {returns("query-jobs", Json::array())},
                                      look(Json::array({node(node_)}), "base"),
                                      {returns("blockdev-del", Json::object())}}),
                              journal_);
  EXPECT_TRUE(settled) << settled.error().text();
  EXPECT_EQ(problem_, "");
  EXPECT_FALSE(overlay_is_there());
}

TEST_F(SettlerTest, KeepsTheOverlayAndTheJournalWhenTheCommitFails) {
  Json failed = job("concluded");
  failed[0]["error"] = "No space left on device";
  const auto settled =
      settle(joined({look(Json::array({node(node_)}), node_),
                     {returns("query-jobs", Json::array()), returns("block-commit", Json::object()),
                      returns("query-jobs", failed), returns("job-dismiss", Json::object())},
                     look(Json::array({node(node_)}), node_)}),
             journal_);
  ASSERT_FALSE(settled);
  EXPECT_EQ(settled.error().text(),
            "unable to commit the overlay of disk 'vda': block-commit: No space left on device");
  EXPECT_EQ(problem_, "");
  EXPECT_TRUE(overlay_is_there());
  EXPECT_TRUE(file_.load()->has_value());
}

TEST_F(SettlerTest, RemovesAnOverlayThatWasLostBeforeAnythingWasWritten) {
  runner_.outcome.output = R"([{"start": 0, "present": false, "zero": true, "data": false}])";
  const auto settled = settle(joined({look(Json::array(), "base"),
                                      {returns("query-jobs", Json::array())},
                                      look(Json::array(), "base")}),
                              journal_);
  EXPECT_TRUE(settled) << settled.error().text();
  EXPECT_FALSE(overlay_is_there());
}

TEST_F(SettlerTest, RefusesToThrowAwayWhatHoldsTheLastWrites) {
  const auto script = [&] {
    return joined({look(Json::array(), "base"),
                   {returns("query-jobs", Json::array())},
                   look(Json::array(), "base")});
  };
  // Written to; written with zeroes; no map; in use by somebody else.
  for (const char* output : {R"([{"present": false}, {"present": true}])",
                             R"([{"present": true, "zero": true}])", "rubbish", "{}", "[{}]"}) {
    runner_.outcome.output = output;
    const auto settled = settle(script(), journal_);
    ASSERT_FALSE(settled);
    EXPECT_EQ(settled.error().code(), ErrorCode::kRefused);
    EXPECT_TRUE(overlay_is_there());
  }
  runner_.outcome.output = R"([{"present": false}])";
  runner_.outcome.status = 1;
  EXPECT_FALSE(settle(script(), journal_));
  EXPECT_TRUE(overlay_is_there());
  // Before the freeze nothing can have been written to it.
  journal_.may_be_taken = false;
  EXPECT_TRUE(settle(script(), journal_));
  EXPECT_FALSE(overlay_is_there());
}

}  // namespace
}  // namespace holdfast::host::snapshot
