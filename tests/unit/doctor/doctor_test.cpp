// SPDX-License-Identifier: MIT
#include "doctor/doctor.h"

#include "tree.h"

namespace holdfast::doctor {
namespace {

class Doctor : public DoctorTest {};

TEST_F(Doctor, FindsNothingWhereAllIsWell) {
  EXPECT_EQ(complaints(), Complaints{});
  EXPECT_EQ(examine().exit_status(), 0);
}

TEST_F(Doctor, EndsWithOneForAProblemAndWithZeroForAWarning) {
  remove("/dev/virtio-ports");
  EXPECT_EQ(complaints(), (Complaints{"problem no-port"}));
  EXPECT_EQ(examine().exit_status(), 1);
  write("/dev/virtio-ports/org.qemu.guest_agent.0", "");
  remove("/proc/402");
  EXPECT_EQ(complaints(), (Complaints{"warning execd"}));
  EXPECT_EQ(examine().exit_status(), 0);
}

TEST_F(Doctor, TellsAnAgentThatIsNotInstalledFromOneThatIsNotRunning) {
  remove("/proc/300");
  EXPECT_EQ(complaints(), (Complaints{"problem not-running", "unknown hook-not-run"}));
  remove("/usr/sbin/qemu-ga");
  EXPECT_EQ(complaints(), (Complaints{"problem not-installed", "unknown hook-not-run"}));
}

TEST_F(Doctor, KnowsWhatAVersionMeans) {
  EXPECT_NE(text_of("version").find("the exit status alone"), std::string::npos);
  version_ = "QEMU Guest Agent 10.0.3\n";
  EXPECT_NE(text_of("version").find("in words"), std::string::npos);
  version_ = "QEMU Guest Agent 2.12.0\n";
  EXPECT_EQ(complaints(), (Complaints{"warning version"}));
  version_ = "";
  EXPECT_EQ(complaints(), (Complaints{"unknown version"}));
}

TEST_F(Doctor, FindsThatNoHookIsRunAndSaysWhatToDoAboutIt) {
  process(300, "qemu-ga", {"/usr/sbin/qemu-ga"});
  EXPECT_EQ(complaints(), (Complaints{"problem hook-not-run"}));
  EXPECT_NE(text_of("hook-not-run").find("fsfreeze-hook=/etc/qemu/fsfreeze-hook"),
            std::string::npos);
  write("/usr/lib/systemd/system/qemu-guest-agent.service.d/holdfast.conf", "");
  EXPECT_NE(text_of("hook-not-run").find("systemctl restart qemu-guest-agent"), std::string::npos);
  write("/etc/systemd/system/qemu-guest-agent.service.d/own.conf", "");
  EXPECT_NE(text_of("hook-not-run").find("a unit of your own wins"), std::string::npos);
}

TEST_F(Doctor, FindsAHookThatIsNotOurs) {
  remove(kDefaultHook);
  write(kDefaultHook, "#!/bin/sh\nmysql -e 'FLUSH TABLES WITH READ LOCK'\n", 0755);
  EXPECT_EQ(complaints(), (Complaints{"problem hook-not-ours"}));
  write(kDefaultHook, "#!/bin/sh\nFSFREEZE_D=$(dirname $0)/fsfreeze-hook.d\n", 0755);
  EXPECT_NE(text_of("hook-not-ours").find("ignores every exit status"), std::string::npos);
  remove(kDefaultHook);
  EXPECT_EQ(complaints(), (Complaints{"problem hook-missing"}));
}

TEST_F(Doctor, FindsThatOurHookIsNotThereOrNotToBeTrusted) {
  write(kOurHook, "", 0644);
  EXPECT_EQ(complaints(), (Complaints{"problem hook-mode"}));
  write(kOurHook, "", 0775);
  EXPECT_EQ(complaints(), (Complaints{"problem hook-mode"}));
  remove(kOurHook);
  EXPECT_EQ(complaints(), (Complaints{"problem hook-missing"}));
}

TEST_F(Doctor, FindsAnotherHookOnTheCommandLine) {
  write("/opt/hook", "#!/bin/sh\n", 0755);
  process(300, "qemu-ga", {"/usr/sbin/qemu-ga", "-F/opt/hook"});
  EXPECT_EQ(complaints(), (Complaints{"problem hook-not-ours"}));
}

TEST_F(Doctor, FindsTheAdministratorsOwnHookThatIsNotRun) {
  write("/etc/qemu/fsfreeze-hook.distrib", "#!/bin/sh\necho mine\n", 0755);
  EXPECT_EQ(complaints(), (Complaints{"warning own-hook"}));
  write("/etc/qemu/fsfreeze-hook.d/local", "#!/bin/sh\necho mine\n", 0755);
  EXPECT_EQ(complaints(), Complaints{});
  // The stock dispatcher is nobody's work.
  remove("/etc/qemu/fsfreeze-hook.d");
  write("/etc/qemu/fsfreeze-hook.distrib", "for file in fsfreeze-hook.d/*\n", 0755);
  EXPECT_EQ(complaints(), Complaints{});
}

TEST_F(Doctor, FindsCommandsThatTheAgentRefuses) {
  write("/etc/qemu/qemu-ga.conf", "[general]\nblock-rpcs=guest-fsfreeze-freeze,guest-exec\n");
  EXPECT_EQ(complaints(), (Complaints{"problem commands-blocked"}));
  EXPECT_TRUE(
      text_of("commands-blocked").starts_with("the guest agent refuses guest-fsfreeze-freeze -> "));
  write("/etc/qemu/qemu-ga.conf", "[general]\nblacklist=guest-file-open,guest-file-read\n");
  EXPECT_EQ(complaints(), (Complaints{"warning proof-blocked"}));
  write("/etc/qemu/qemu-ga.conf", "[general]\nallow-rpcs=guest-ping\n");
  EXPECT_EQ(complaints(), (Complaints{"problem commands-blocked", "warning proof-blocked"}));
}

TEST_F(Doctor, WorksWithoutTheService) {
  status_ = base::Error(base::ErrorCode::kDaemonUnreachable, "no such file");
  EXPECT_EQ(complaints(), (Complaints{"problem holdfastd", "unknown not-held"}));
  as_root_ = false;
  EXPECT_EQ(complaints(), (Complaints{"unknown holdfastd", "unknown not-held"}));
  remove("/proc/400");
  EXPECT_EQ(complaints(), (Complaints{"problem holdfastd", "unknown not-held"}));
}

TEST_F(Doctor, FindsThatTheThawingPartIsNotThereOrMayNot) {
  process(401, "holdfast-fsd", {"holdfast-fsd"}, "0000000000000004");
  EXPECT_EQ(complaints(), (Complaints{"problem fsd"}));
  EXPECT_NE(text_of("fsd").find("CAP_SYS_ADMIN"), std::string::npos);
  remove("/proc/401");
  EXPECT_EQ(complaints(), (Complaints{"problem fsd"}));
}

TEST_F(Doctor, FindsAResourceThatIsNotReadyAndWhetherThatRefusesFreezes) {
  base::Json& resource = (*status_)["resources"][0];
  resource["state"] = "not-ready";
  resource["text"] = "access denied";
  EXPECT_EQ(complaints(), (Complaints{"problem resource"}));
  EXPECT_TRUE(text_of("resource").starts_with("'mysql:mysql' is not-ready: access denied -> "));
  resource["required"] = false;
  EXPECT_EQ(complaints(), (Complaints{"warning resource"}));
}

TEST_F(Doctor, FindsThatNoDatabaseIsHeld) {
  process(500, "postgres", {"postgres"});
  EXPECT_EQ(complaints(), (Complaints{"warning not-held"}));
  process(501, "mongod", {"mongod"});
  EXPECT_EQ(complaints(), (Complaints{"warning not-held", "warning no-plugin"}));
  (*status_)["resources"] = base::Json::array();
  remove("/proc/500");
  remove("/proc/501");
  EXPECT_EQ(complaints(), (Complaints{"warning no-resources"}));
}

TEST_F(Doctor, PassesOnWhatTheProbesWarnOf) {
  (*status_)["resources"][0]["warnings"] = {"general_log is on"};
  EXPECT_EQ(complaints(), (Complaints{"warning probe"}));
  EXPECT_TRUE(text_of("probe").starts_with("'mysql:mysql': general_log is on -> "));
}

TEST_F(Doctor, FindsTimesThatDoNotFitTogether) {
  write("/etc/holdfast/agent.conf", "freeze-timeout = 15s\nmax-hold = 20s\n");
  EXPECT_EQ(complaints(), (Complaints{"warning max-hold"}));
  write("/etc/holdfast/agent.conf", "freeze-timeout = 90s\n");
  EXPECT_EQ(complaints(), (Complaints{"problem max-hold", "warning freeze-timeout"}));
  write("/etc/holdfast/agent.conf", "thaw-timeout = 30s\n");
  EXPECT_EQ(complaints(), (Complaints{"warning thaw-timeout", "warning stop-timeout"}));
  write("/etc/holdfast/agent.conf", "freeze-timeout = soon\n");
  EXPECT_EQ(complaints(), (Complaints{"unknown agent-state", "problem configuration"}));
}

TEST_F(Doctor, FindsWhatConfinesTheGuestAgent) {
  write("/proc/300/attr/current", "unconfined\n");
  EXPECT_EQ(complaints(), Complaints{});
  write("/proc/300/attr/current", "/usr/sbin/qemu-ga (enforce)\n");
  write("/sys/fs/selinux/enforce", "1");
  EXPECT_EQ(complaints(), (Complaints{"warning selinux", "warning apparmor"}));
}

TEST_F(Doctor, FindsTheControlPanelsThatFreezesHangOn) {
  write("/usr/tmpDSK", "");
  write("/etc/cloudlinux-release", "");
  mounts("30 22 254:1 /u /home/virtfs/u rw - ext4 /dev/vda1 rw\n");
  EXPECT_EQ(complaints(),
            (Complaints{"warning securetmp", "warning cloudlinux", "warning virtfs"}));
}

TEST_F(Doctor, ShowsEachFindingWithWhatToDoAndCountsThem) {
  remove("/dev/virtio-ports");
  const std::string text = diagnosis_text(examine());
  EXPECT_NE(text.find("problem  guest-agent: the machine has no channel"), std::string::npos);
  EXPECT_NE(text.find("\n         -> give the virtual machine"), std::string::npos);
  EXPECT_TRUE(text.ends_with("\n1 problem, 0 warnings, 0 unknown\n"));
  const base::Json json = diagnosis_json(examine());
  EXPECT_EQ(json["problems"], 1);
  EXPECT_EQ(json["status"], 1);
  EXPECT_EQ(json["findings"][0]["id"], "no-port");
  EXPECT_EQ(json["findings"][0]["level"], "problem");
}

}  // namespace
}  // namespace holdfast::doctor
