// SPDX-License-Identifier: MIT
#include "definition/resumption.h"

#include <gtest/gtest.h>

#include "base/json_codec.h"

namespace holdfast::host::definition {
namespace {

using base::Json;

StoredCommand sample() {
  return {{"/usr/bin/qemu-system-x86_64", "-S", "-daemonize", "-incoming", "defer", "-m", "1024",
           "-drive", "file=disks/a,,b.raw,format=raw,if=virtio", "-blockdev",
           R"({"driver":"qcow2","file":{"driver":"file","filename":"/vm/sys.qcow2"}})", "-hdb",
           "/vm/old.qcow2", "-qmp", "unix:/run/vm/a.qmp,server=on,wait=off", "-chardev",
           "socket,id=q,path=/run/vm/a.qga,server=on,wait=off", "-chardev",
           "socket,id=t,path=/run/vm/tpm"},
          "/vm",
          "pc-i440fx-7.2-machine"};
}

TEST(Resumption, PutsTheRestoredImagesInPlaceOfTheOldOnes) {
  const auto words = resumed_words(sample(), {{"/vm/disks/a,b.raw", "/new/a,b.raw"},
                                              {"/vm/sys.qcow2", "/new/sys.qcow2"},
                                              {"/vm/old.qcow2", "/new/old.qcow2"}});
  ASSERT_TRUE(words) << words.error().text();
  EXPECT_EQ(*words,
            (Words{"/usr/bin/qemu-system-x86_64", "-m", "1024", "-drive",
                   "file=/new/a,,b.raw,format=raw,if=virtio", "-blockdev",
                   R"({"driver":"qcow2","file":{"driver":"file","filename":"/new/sys.qcow2"}})",
                   "-hdb", "/new/old.qcow2", "-qmp", "unix:/run/vm/a.qmp,server=on,wait=off",
                   "-chardev", "socket,id=q,path=/run/vm/a.qga,server=on,wait=off", "-chardev",
                   "socket,id=t,path=/run/vm/tpm", "-incoming", "defer"}));
}

TEST(Resumption, RefusesWordsThatDoNotNameAnImage) {
  const auto words = resumed_words(sample(), {{"/vm/other.raw", "/new/other.raw"}});
  ASSERT_FALSE(words);
  EXPECT_NE(words.error().text().find("does not name the image '/vm/other.raw'"),
            std::string::npos);
}

TEST(Resumption, KnowsWhereTheMachineListens) {
  EXPECT_EQ(listened_at(sample()), (std::vector<std::string>{"/run/vm/a.qmp", "/run/vm/a.qga"}));
}

TEST(Resumption, ReadsAWholeDefinitionOnly) {
  Json good{{"command_line", {"qemu-system-x86_64", "-m", "1"}},
            {"working_directory", "/vm"},
            {"redacted", Json::array()},
            {"machine", {{"type", "pc-i440fx-7.2-machine"}}}};
  const auto command = parse_stored_command(base::to_line(good));
  ASSERT_TRUE(command) << command.error().text();
  EXPECT_EQ(command->words.size(), 3U);
  EXPECT_EQ(command->machine, "pc-i440fx-7.2-machine");
  Json redacted = good;
  redacted["redacted"].push_back({{"word", 2}, {"what", "data of -object"}});
  EXPECT_FALSE(parse_stored_command(base::to_line(redacted)));
  Json lacking = good;
  lacking["command_line"] = nullptr;
  EXPECT_FALSE(parse_stored_command(base::to_line(lacking)));
  Json other = good;
  other["command_line"][0] = "/bin/sh";
  EXPECT_FALSE(parse_stored_command(base::to_line(other)));
  EXPECT_FALSE(parse_stored_command("nothing"));
}

}  // namespace
}  // namespace holdfast::host::definition
