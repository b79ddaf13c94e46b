// SPDX-License-Identifier: MIT
#include "doctor/guest_agent.h"

#include "tree.h"

namespace holdfast::doctor {
namespace {

class GuestAgentOptions : public DoctorTest {
 protected:
  GuestAgent with(const std::vector<std::string>& arguments, const std::string& file = {}) {
    std::vector<std::string> line{"/usr/sbin/qemu-ga"};
    line.insert(line.end(), arguments.begin(), arguments.end());
    process(300, "qemu-ga", line);
    if (!file.empty()) write("/etc/qemu/qemu-ga.conf", file);
    return guest_agent_of(world_);
  }
};

TEST_F(GuestAgentOptions, RunNoHookUnlessTheyAreToldTo) {
  EXPECT_EQ(with({}).hook, std::nullopt);
  EXPECT_EQ(with({"--verbose", "-d"}).hook, std::nullopt);
}

TEST_F(GuestAgentOptions, TakeTheDefaultPathWhenFHasNone) {
  EXPECT_EQ(with({"-F"}).hook, kDefaultHook);
  EXPECT_EQ(with({"--fsfreeze-hook"}).hook, kDefaultHook);
  // A word of its own is no path of -F, whose argument is optional.
  EXPECT_EQ(with({"-F", "/etc/other"}).hook, kDefaultHook);
  EXPECT_EQ(with({"-F/etc/other"}).hook, "/etc/other");
  EXPECT_EQ(with({"--fsfreeze-hook=/etc/other"}).hook, "/etc/other");
  EXPECT_EQ(with({"-vF/etc/other"}).hook, "/etc/other");
}

TEST_F(GuestAgentOptions, DoNotTakeTheValueOfAnotherOptionForOne) {
  EXPECT_EQ(with({"-p", "-F", "-m", "unix-listen"}).hook, std::nullopt);
  EXPECT_EQ(with({"-l/var/log/F"}).hook, std::nullopt);
  EXPECT_EQ(with({"--", "-F"}).hook, std::nullopt);
}

TEST_F(GuestAgentOptions, LetTheCommandLineWinOverTheFile) {
  const std::string file = "[general]\nfsfreeze-hook = /from/file\n";
  GuestAgent agent = with({}, file);
  EXPECT_EQ(agent.hook, "/from/file");
  EXPECT_EQ(agent.hook_origin, "/etc/qemu/qemu-ga.conf");
  agent = with({"-F/from/line"}, file);
  EXPECT_EQ(agent.hook, "/from/line");
  EXPECT_EQ(agent.hook_origin, "the command line");
}

TEST_F(GuestAgentOptions, ReadOnlyTheGeneralGroupOfTheFile) {
  EXPECT_EQ(with({}, "[other]\nfsfreeze-hook=/x\n[general]\n#fsfreeze-hook=/y\n").hook,
            std::nullopt);
}

TEST_F(GuestAgentOptions, ReadTheFileThatTheCommandLineNames) {
  write("/etc/own.conf", "[general]\nfsfreeze-hook=/own\n");
  EXPECT_EQ(with({"--config=/etc/own.conf"}, "[general]\nfsfreeze-hook=/default\n").hook, "/own");
  EXPECT_EQ(with({"-c", "/etc/own.conf"}).hook, "/own");
}

TEST_F(GuestAgentOptions, AddUpTheListsOfCommands) {
  const GuestAgent agent = with({"-b", "guest-exec", "--blacklist=guest-file-open"},
                                "[general]\nblock-rpcs=guest-shutdown,guest-ping\n");
  for (const char* command : {"guest-exec", "guest-file-open", "guest-shutdown", "guest-ping"})
    EXPECT_FALSE(is_permitted(agent, command)) << command;
  EXPECT_TRUE(is_permitted(agent, "guest-info"));
}

TEST_F(GuestAgentOptions, PermitOnlyWhatIsAllowedAndNotBlocked) {
  const GuestAgent agent =
      with({}, "[general]\nallow-rpcs=guest-ping,guest-info\nblock-rpcs=guest-info\n");
  EXPECT_TRUE(is_permitted(agent, "guest-ping"));
  EXPECT_FALSE(is_permitted(agent, "guest-info"));
  EXPECT_FALSE(is_permitted(agent, "guest-fsfreeze-freeze"));
}

}  // namespace
}  // namespace holdfast::doctor
