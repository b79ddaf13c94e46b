// SPDX-License-Identifier: MIT
#include "doctor/doctor.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "support/temporary_directory.h"

namespace holdfast::host::doctor {
namespace {

class Schedule : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) {
    const std::string path = root_.file(name);
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    ASSERT_TRUE(base::write_file(path, text, 0600, base::Durable::kNo));
  }
  Finding finding() {
    config::Settings settings;
    settings.vm = "web1";
    const Findings findings = check_schedule({.settings = settings,
                                              .processes = processes_,
                                              .stop = {},
                                              .root = root_.path(),
                                              .qemu_version = {},
                                              .disks = {}});
    EXPECT_EQ(findings.size(), 1U);
    return findings.front();
  }
  support::TemporaryDirectory root_;
  base::SystemProcessRunner processes_;
};

TEST_F(Schedule, IsMissedWhereNothingStartsABackup) {
  EXPECT_EQ(finding().id, "not-scheduled");
  write("etc/cron.d/holdfast", "# 30 1 * * * root holdfast backup --all\n");
  write("etc/crontab", "30 1 * * * root holdfast backup web10\n");
  write("etc/systemd/system/timers.target.wants/holdfast-backup@web2.timer", "");
  EXPECT_EQ(finding().level, Level::kWarning);
  EXPECT_FALSE(finding().hint.empty());
}

TEST_F(Schedule, FindsCronsTables) {
  write("etc/cron.d/holdfast", "\n30 1 * * *  root  [ -x /x ] && holdfast backup --all");
  EXPECT_EQ(finding().text, "'/etc/cron.d/holdfast' starts it");
  write("etc/cron.d/holdfast", "30 1 * * *  root  holdfast backup db1 web1 -q\n");
  EXPECT_EQ(finding().id, "cron");
}

TEST_F(Schedule, FindsEnabledTimers) {
  write("etc/systemd/system/timers.target.wants/holdfast-backup@web1.timer", "");
  EXPECT_EQ(finding().text, "holdfast-backup@web1.timer is enabled");
  EXPECT_EQ(finding().level, Level::kOk);
}

TEST_F(Schedule, FindsTheExamplesThatArePackaged) {
  const auto table = base::read_file(std::string(HOST_PAGES) + "/examples/cron.d", 1U << 16U);
  ASSERT_TRUE(table) << table.error().text();
  write("etc/cron.d/holdfast", *table);
  EXPECT_EQ(finding().id, "cron");
}

TEST(ProbedDrives, AreThoseWithoutAFormat) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(probed_drives({"qemu", "-drive", "file=/a,if=virtio"}), Words{"file=/a,if=virtio"});
  EXPECT_EQ(probed_drives({"qemu", "--drive", "if=virtio,file=/a"}), Words{"if=virtio,file=/a"});
  EXPECT_EQ(probed_drives({"qemu", "-hda", "/a"}), Words{"/a"});
  for (const char* fine :
       {"file=/a,format=raw", "format=qcow2,file=/a", "if=none,id=x", "file=/cd,media=cdrom",
        "driver=raw,file.filename=/a", "file.driver=file,file=/a,driver=qcow2"}) {
    EXPECT_TRUE(probed_drives({"qemu", "-drive", fine}).empty()) << fine;
  }
  EXPECT_TRUE(probed_drives({"qemu", "-drive"}).empty());
  EXPECT_TRUE(probed_drives({}).empty());
}

TEST(Diagnosis, CountsAndShowsNothingUnprintable) {
  const Diagnosis diagnosis{.vm = "web1",
                            .findings = {{Level::kOk, "agent", "answers", "fine"},
                                         {Level::kProblem, "guest", "x", "bad\x1b[2J", "do this"},
                                         {Level::kWarning, "guest", "y", "so so", "or that"}}};
  EXPECT_EQ(diagnosis.exit_status(), 1);
  EXPECT_EQ(text_of(diagnosis, false),
            "web1: ok      agent: fine\n"
            "web1: problem guest: bad\\x1b[2J (do this)\n"
            "web1: warning guest: so so (or that)\n"
            "web1: 1 problem, 1 warning, 0 unknown\n");
  EXPECT_EQ(text_of(diagnosis, true),
            "web1: problem guest: bad\\x1b[2J (do this)\n"
            "web1: warning guest: so so (or that)\n");
  const base::Json json = json_of(diagnosis);
  EXPECT_EQ(json["status"], 1);
  EXPECT_EQ(json["findings"][1]["text"], "bad\\x1b[2J");
}

}  // namespace
}  // namespace holdfast::host::doctor
