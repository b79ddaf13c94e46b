// SPDX-License-Identifier: MIT
#include "boot/plan.h"

#include <gtest/gtest.h>

#include "boot/command.h"

namespace holdfast::host::boot {
namespace {

using base::Json;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;
constexpr Bounds kBounds{512 * kMiB, 2};

repository::Manifest manifest(std::vector<Json> disks) {
  repository::Manifest manifest;
  manifest.id = "20261122T000000Z-00000001";
  manifest.vm = "web1";
  Json entries = Json::array();
  for (std::size_t i = 0; i < disks.size(); ++i) {
    repository::DiskEntry entry;
    entry.name = "d" + std::to_string(i);
    const auto flash = disks[i].find("pflash");
    if (flash != disks[i].end()) entry.pflash = flash->get<int>();
    manifest.disks.push_back(entry);
    entries.push_back(disks[i]);
  }
  manifest.document = {{"disks", std::move(entries)}};
  return manifest;
}

Json definition(std::vector<std::string> words) {
  return {{"machine",
           {{"type", "pc-q35-7.2-machine"},
            {"uuid", "11111111-2222-3333-4444-555555555555"},
            {"cpus", 8},
            {"memory_bytes", 4096 * kMiB}}},
          {"working_directory", "/vm"},
          {"command_line", std::move(words)}};
}

std::string value_of(const std::vector<std::string>& words, const std::string& option) {
  const auto found = std::find(words.begin(), words.end(), option);
  return found == words.end() ? "" : *(found + 1);
}

TEST(BootPlan, TakesTheMachineWithinItsBounds) {
  const Plan plan = plan_machine(manifest({{{"qdev", "x"}}}),
                                 definition({"qemu", "-cpu", "Nehalem,+vmx"}), kBounds);
  EXPECT_EQ(plan.machine, "pc-q35-7.2");
  EXPECT_EQ(plan.cpu, "Nehalem");
  EXPECT_EQ(plan.cpus, 2U);
  EXPECT_EQ(plan.memory, 512 * kMiB);
  EXPECT_EQ(plan.uuid, "11111111-2222-3333-4444-555555555555");
  EXPECT_FALSE(plan.kernel);
  EXPECT_EQ(plan.notes.front(), "it has 512 MiB of memory, the machine had 4 GiB");
}

TEST(BootPlan, FindsTheBusOfEachDisk) {
  const Plan plan = plan_machine(
      manifest({{{"qdev", "/machine/peripheral/a/virtio-backend"}},
                {{"qdev", "b"}},
                {{"device", "drive2"}},
                {{"device", "ide0-hd1"}},
                {{"node", "n4"}},
                {{"qdev", "/machine/peripheral-anon/device[1]"}}}),
      definition({"qemu", "-device", "virtio-blk-pci,drive=a,id=a,serial=one", "-device",
                  "scsi-hd,drive=bb,id=b,serial=a b", "-drive", "file=x,,y,if=ide,id=drive2",
                  "-device", R"({"driver":"nvme","drive":"n4","serial":"four"})"}),
      kBounds);
  std::vector<Bus> buses;
  std::vector<std::string> serials;
  for (const PlannedDisk& disk : plan.disks) {
    buses.push_back(disk.bus);
    serials.push_back(disk.serial);
  }
  EXPECT_EQ(buses, (std::vector<Bus>{Bus::kVirtio, Bus::kScsi, Bus::kIde, Bus::kIde, Bus::kNvme,
                                     Bus::kVirtio}));
  EXPECT_EQ(serials, (std::vector<std::string>{"one", "", "", "", "four", ""}));
  EXPECT_EQ(plan.notes.back(), "on which bus the disk 'd5' was is not known: it is on virtio's");
}

TEST(BootPlan, TakesNothingElseFromARecordedCommandLine) {
  Plan plan =
      plan_machine(manifest({{{"qdev", "/machine/peripheral/a/virtio-backend"}}}),
                   definition({"/tmp/evil", "-device", "vfio-pci,host=01:00.0", "-device",
                               "virtio-blk-pci,id=a,drive=a,serial=x,evil=on", "-netdev",
                               "user,id=n", "-chardev", "socket,id=c,path=/run/evil", "-fsdev",
                               "local,id=f,path=/", "-cpu", "max -evil", "-kernel", "boot/kernel",
                               "-initrd", "/i", "-append", "root=/dev/vda"}),
                   kBounds);
  ASSERT_TRUE(plan.kernel);
  EXPECT_EQ(plan.kernel->path, "/vm/boot/kernel");
  EXPECT_EQ(plan.cpu, "");
  const auto words = qemu_command(
      plan, {"qemu", false, "/run/a,b/agent", {{"/boot/a.overlay", {{"/dev/null", "qcow2"}}}}});
  ASSERT_TRUE(words) << words.error().text();
  EXPECT_EQ(words->front(), "qemu");
  for (const std::string& word : *words) {
    EXPECT_EQ(word.find("evil"), std::string::npos) << word;
    EXPECT_EQ(word.find("vfio"), std::string::npos) << word;
    EXPECT_EQ(word.find("fsdev"), std::string::npos) << word;
  }
  EXPECT_EQ(value_of(*words, "-nic"), "none");
  EXPECT_EQ(value_of(*words, "-m"), "512M");
  EXPECT_EQ(value_of(*words, "-append"), "root=/dev/vda");
  EXPECT_EQ(value_of(*words, "-machine"), "pc-q35-7.2");
  const std::string blockdev = value_of(*words, "-blockdev");
  const auto node = base::parse_json(blockdev);
  ASSERT_TRUE(node) << blockdev;
  EXPECT_EQ(node->at("file").at("filename"), "/boot/a.overlay");
  EXPECT_EQ(node->at("backing").at("read-only"), true);
  // A boot index would come before the kernel.
  EXPECT_TRUE(std::none_of(words->begin(), words->end(), [](const std::string& word) {
    return word.find("bootindex") != std::string::npos;
  }));
  EXPECT_TRUE(std::any_of(words->begin(), words->end(), [](const std::string& word) {
    return word.find("path=/run/a,,b/agent,server=on") != std::string::npos;
  }));
}

TEST(BootPlan, GivesFlashItsUnits) {
  Json recorded = definition({"qemu"});
  recorded["firmware"] = {{{"device", "/machine/system.flash0"},
                           {"file", "/usr/share/OVMF/OVMF_CODE.fd"},
                           {"bytes", 4096},
                           {"sha256", "00"}},
                          {{"device", "cd"}, {"file", "/x"}, {"bytes", 1}, {"sha256", "00"}}};
  const Plan plan =
      plan_machine(manifest({{{"pflash", 1}}, {{"qdev", "/virtio-backend"}}}), recorded, kBounds);
  ASSERT_EQ(plan.firmware.size(), 1U);
  const auto words = qemu_command(
      plan, {"qemu",
             true,
             "/run/agent",
             {{"/boot/a", {{"/dev/null", "qcow2"}}}, {"/boot/b", {{"/dev/null", "qcow2"}}}}});
  ASSERT_TRUE(words);
  EXPECT_EQ(value_of(*words, "-machine"), "pc-q35-7.2,pflash0=firmware0,pflash1=disk0");
  EXPECT_EQ(value_of(*words, "-accel"), "kvm");
}

TEST(BootPlan, MakesDoWithNothingAtAll) {
  for (const Json& nothing : {Json(), Json(7), Json::object(), Json{{"command_line", 3}}}) {
    const Plan plan = plan_machine(manifest({Json::object()}), nothing, kBounds);
    EXPECT_EQ(plan.machine, "pc");
    EXPECT_EQ(plan.disks.size(), 1U);
    EXPECT_FALSE(plan.notes.empty());
  }
}

}  // namespace
}  // namespace holdfast::host::boot
