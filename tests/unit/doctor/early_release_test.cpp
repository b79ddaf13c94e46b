// SPDX-License-Identifier: MIT
#include <unistd.h>

#include "tree.h"

namespace holdfast::doctor {
namespace {

class EarlyRelease : public DoctorTest {
 protected:
  void agent_with(const std::vector<std::string>& arguments) {
    std::vector<std::string> line{"/usr/sbin/qemu-ga", "-F"};
    line.insert(line.end(), arguments.begin(), arguments.end());
    process(300, "qemu-ga", line);
  }
};

const Complaints kWarned{"warning agent-state"};

TEST_F(EarlyRelease, IsThereWhereTheAgentKeepsItsStateWhereTheServiceLooks) {
  // /var/run by default, which leads to /run.
  EXPECT_EQ(text_of("agent-state"), "holdfastd watches '/run' for qemu-ga's thaw -> ");
  agent_with({"--statedir=/run/"});
  EXPECT_EQ(complaints(), Complaints{});
  directory("/run/qga", 0700);
  agent_with({"-t", "/var/run/qga"});
  write("/etc/holdfast/agent.conf", "guest-agent-state = /run/./qga\n");
  EXPECT_EQ(complaints(), Complaints{});
}

TEST_F(EarlyRelease, IsMissedWhereTheAgentKeepsItsStateElsewhere) {
  directory("/run/qga");
  agent_with({"-t/run/qga"});
  EXPECT_EQ(complaints(), kWarned);
  EXPECT_EQ(
      text_of("agent-state"),
      "holdfastd watches '/run' for qemu-ga's thaw, but qemu-ga keeps its state in '/run/qga' "
      "(the command line): the locks are held until qemu-ga has started its thaw hook -> set "
      "guest-agent-state = /run/qga in /etc/holdfast/agent.conf, and restart holdfastd");
  write("/etc/holdfast/agent.conf", "guest-agent-state = /run/qga\n");
  EXPECT_EQ(complaints(), Complaints{});
  agent_with({});
  EXPECT_NE(text_of("agent-state").find("'/var/run' (its default)"), std::string::npos);
}

TEST_F(EarlyRelease, IsLookedForInTheAgentsConfigurationToo) {
  directory("/srv/qga");
  write("/etc/qemu/qemu-ga.conf", "[general]\nstatedir=/srv/qga\n");
  EXPECT_EQ(complaints(), kWarned);
  EXPECT_NE(text_of("agent-state").find("'/srv/qga' (/etc/qemu/qemu-ga.conf)"), std::string::npos);
}

TEST_F(EarlyRelease, IsMissedWhereOthersMayWriteOrNothingIs) {
  directory("/run", 0777);
  EXPECT_EQ(complaints(), kWarned);
  EXPECT_NE(text_of("agent-state").find("-> chown root /run && chmod go-w /run"),
            std::string::npos);
  directory("/run", 0755);
  EXPECT_EQ(complaints(), Complaints{});
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(world_.real("/run").c_str(), 12345, 0), 0);
    EXPECT_EQ(complaints(), kWarned);
  }
  remove("/run");
  EXPECT_EQ(complaints(), kWarned);
  EXPECT_NE(text_of("agent-state").find("which is no directory"), std::string::npos);
}

TEST_F(EarlyRelease, IsNotJudgedByAConfigurationThatIsWrong) {
  write("/etc/holdfast/agent.conf", "guest-agent-state = here\n");
  EXPECT_EQ(complaints(), (Complaints{"unknown agent-state", "problem configuration"}));
}

TEST_F(EarlyRelease, IsFoundThroughLinksAndNotLostInACircleOfThem) {
  link("/a", "b/../c");
  directory("/c/d");
  link("/c/e", "/a/d");
  EXPECT_EQ(world_.without_links("/a/e/"), "/c/d");
  EXPECT_EQ(world_.without_links("/nowhere/x"), "/nowhere/x");
  link("/round", "/round");
  EXPECT_EQ(world_.without_links("/round"), "/round");
}

}  // namespace
}  // namespace holdfast::doctor
