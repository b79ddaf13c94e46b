// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bridge/backup_xml.h"
#include "bridge/domain_xml.h"
#include "bridge/snapshot_xml.h"
#include "libvirt/domain.h"

namespace holdfast::host::libvirt {
namespace {

using ::testing::HasSubstr;

std::string domain_with(const std::string& disks, const std::string& more = "") {
  return "<domain type='kvm'><name>web1</name>" + more + "<devices>" + disks +
         "</devices></domain>";
}

std::string disk(const std::string& inner,
                 const std::string& attributes = "type='file' device='disk'") {
  return "<disk " + attributes + ">" + inner + "<target dev='vda' bus='virtio'/></disk>";
}

constexpr const char* kChain =
    "<driver name='qemu' type='qcow2' cache='none'/><source file='/i/top.qcow2'/>"
    "<backingStore type='file'><format type='raw'/><source file='/i/a b&amp;c.raw'/>"
    "<backingStore/></backingStore><alias name='virtio-disk0'/>";

XmlDisk only_disk(const std::string& xml) {
  const auto domain = read_domain_xml(xml);
  EXPECT_TRUE(domain) << domain.error().text();
  EXPECT_EQ(domain->disks.size(), 1U);
  return domain->disks.at(0);
}

TEST(DomainXml, GivesTheWholeChainInItsFormats) {
  const XmlDisk found = only_disk(domain_with(disk(kChain)));
  EXPECT_EQ(found.target, "vda");
  EXPECT_EQ(found.alias, "virtio-disk0");
  EXPECT_EQ(found.cache, "none");
  EXPECT_EQ(found.problem, "");
  ASSERT_EQ(found.chain.size(), 2U);
  EXPECT_EQ(found.chain[0].path, "/i/top.qcow2");
  EXPECT_EQ(found.chain[0].format, "qcow2");
  EXPECT_EQ(found.chain[1].path, "/i/a b&c.raw");
  EXPECT_EQ(found.chain[1].format, "raw");
}

TEST(DomainXml, NamesWhatCannotBeBackedUp) {
  struct Case {
    std::string disk;
    std::string problem;
  };
  const std::string raw = "<driver type='raw'/>";
  for (const Case& c :
       {Case{disk(raw + "<source dev='/dev/sdb'/>", "type='block' device='disk'"),
             "its source is of type 'block', and only files can be backed up"},
        Case{disk(raw + "<source protocol='rbd' name='p/i'/>", "type='network' device='disk'"),
             "its source is of type 'network', and only files can be backed up"},
        Case{disk("<driver name='qemu'/><source file='/i/a'/>"), "its format is not given"},
        Case{disk("<driver type='vmdk'/><source file='/i/a'/>"),
             "its format 'vmdk' is neither raw nor qcow2"},
        Case{disk(raw + "<source file='i/a'/>"), "its source 'i/a' is no absolute path"},
        Case{disk(raw + "<source file='/i/a'><slices/></source>"), "its source has 'slices'"},
        Case{disk(raw + "<source file='/i/a'><encryption/></source>"),
             "its source has 'encryption'"},
        Case{disk("<driver type='qcow2'/><source file='/i/a'/>"),
             "libvirt does not say what is below '/i/a'"},
        Case{disk(raw + "<source file='/i/a'/><shareable/>"), "it is shared with other machines"},
        Case{disk("<driver type='qcow2'/><source file='/i/a'/><backingStore type='network'>"
                  "<format type='raw'/><source protocol='nbd'/></backingStore>"),
             "its source is of type 'network', and only files can be backed up"}}) {
    EXPECT_EQ(only_disk(domain_with(c.disk)).problem, c.problem);
  }
}

TEST(DomainXml, LeavesOutWhatIsNoDiskOfTheMachine) {
  const std::string source = "<driver type='raw'/><source file='/i/a'/>";
  EXPECT_EQ(only_disk(domain_with(disk(source, "type='file' device='cdrom'"))).skip, "removable");
  EXPECT_EQ(only_disk(domain_with(disk(source + "<readonly/>"))).skip, "read-only");
  EXPECT_EQ(only_disk(domain_with(disk(source + "<transient/>"))).skip, "transient");
  EXPECT_EQ(only_disk(domain_with(disk("<driver type='raw'/>"))).skip, "empty");
}

TEST(DomainXml, SeesWhichDevicesHaveAnIoeventfd) {
  struct Case {
    std::string bus;
    std::string driver;
    std::string controllers;
    bool ioeventfd;
  };
  const std::string scsi = "<address type='drive' controller='1' bus='0'/>";
  const auto controller = [](const std::string& index, const std::string& model,
                             const std::string& driver = "") {
    return "<controller type='scsi' index='" + index + "' model='" + model + "'>" + driver +
           "</controller>";
  };
  for (const Case& c :
       {Case{"virtio", "", "", true}, Case{"virtio", "ioeventfd='on'", "", true},
        Case{"virtio", "ioeventfd='off'", "", false}, Case{"ide", "", "", false},
        Case{"sata", "ioeventfd='on'", "", false}, Case{"usb", "", "", false},
        Case{"scsi", "", controller("0", "lsilogic") + controller("1", "virtio-scsi"), true},
        Case{"scsi", "", controller("0", "virtio-scsi") + controller("1", "lsilogic"), false},
        Case{"scsi", "", controller("1", "virtio-transitional"), true},
        Case{"scsi", "", controller("1", "virtio-scsi", "<driver ioeventfd='off'/>"), false},
        Case{"scsi", "", controller("1", "virtio-scsi", "<driver queues='2'/>"), true},
        Case{"scsi", "", "", false}}) {
    const XmlDisk found = only_disk(domain_with(
        c.controllers + "<disk type='file' device='disk'><driver name='qemu' type='raw' " +
        c.driver + "/><source file='/i/a'/><target dev='sda' bus='" + c.bus + "'/>" + scsi +
        "</disk>"));
    EXPECT_EQ(found.bus, c.bus);
    EXPECT_EQ(found.ioeventfd, c.ioeventfd) << c.bus << " " << c.driver << " " << c.controllers;
  }
}

TEST(DomainXml, SeesJobsVariablesAndTpm) {
  const std::string mirror =
      std::string(kChain) + "<mirror type='file' job='active-commit' ready='yes'/>";
  const auto domain = read_domain_xml(
      domain_with(disk(mirror) + "<tpm model='tpm-crb'><backend type='emulator'/></tpm>",
                  "<os><nvram template='/t.fd'>/v/web1_VARS.fd</nvram></os>"));
  ASSERT_TRUE(domain);
  EXPECT_EQ(domain->disks[0].job, "active-commit");
  EXPECT_TRUE(domain->disks[0].job_ready);
  EXPECT_EQ(domain->nvram, "/v/web1_VARS.fd");
  EXPECT_EQ(domain->nvram_problem, "");
  ASSERT_TRUE(domain->tpm);
  EXPECT_EQ(domain->tpm->backend, "emulator");
  EXPECT_FALSE(domain->tpm->encrypted);
}

XmlDomain domain_with_nvram(const std::string& nvram) {
  auto domain = read_domain_xml(domain_with("", "<os>" + nvram + "</os>"));
  EXPECT_TRUE(domain);
  return domain ? *domain : XmlDomain();
}

TEST(DomainXml, SeesVariablesInEveryNotationAndSaysWhichCannotBeCopied) {
  EXPECT_EQ(
      domain_with_nvram("<nvram type='file' format='raw'>\n <source file='/v'/></nvram>").nvram,
      "/v");
  EXPECT_EQ(domain_with_nvram("").nvram_problem, "");
  const auto network =
      domain_with_nvram("<nvram type='network'><source protocol='nbd' name='x'/></nvram>");
  EXPECT_EQ(network.nvram, "");
  EXPECT_EQ(network.nvram_problem,
            "their source is of type 'network', and only a file can be copied");
  EXPECT_EQ(domain_with_nvram("<nvram format='qcow2'>/v</nvram>").nvram_problem,
            "their format is 'qcow2', and only raw can be copied from a machine that runs");
}

std::optional<XmlTpm> tpm_of(const std::string& devices) {
  const auto domain = read_domain_xml(domain_with(devices));
  EXPECT_TRUE(domain);
  return domain ? domain->tpm : std::nullopt;
}

TEST(DomainXml, SeesWhatATpmIsAndWhereItsStateIs) {
  EXPECT_FALSE(tpm_of(""));
  const std::string host =
      "<tpm><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm>";
  ASSERT_TRUE(tpm_of(host));
  EXPECT_EQ(tpm_of(host)->backend, "passthrough");
  const auto both = tpm_of(host +
                           "<tpm><backend type='emulator'><encryption secret='u'/>"
                           "<source type='dir' path='/t/d'/></backend></tpm>" +
                           host);
  ASSERT_TRUE(both);
  EXPECT_EQ(both->backend, "emulator");
  EXPECT_EQ(both->directory, "/t/d");
  EXPECT_TRUE(both->encrypted);
  const auto file =
      tpm_of("<tpm><backend type='emulator'><source type='file' path='/t/f'/></backend></tpm>");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->file, "/t/f");
  EXPECT_EQ(file->directory, "");
}

TEST(DomainXml, RefusesWhatIsNoDomainAndReadsNoOtherFile) {
  EXPECT_FALSE(read_domain_xml("<network/>"));
  EXPECT_FALSE(read_domain_xml("<domain><devices>"));
  EXPECT_FALSE(read_domain_xml(""));
  const std::string xml =
      "<!DOCTYPE d [<!ENTITY e SYSTEM 'file:///etc/hostname'>]>" +
      domain_with(disk("<driver type='raw'/><source file='/i/a'/>"), "<os><nvram>&e;</nvram></os>");
  const auto domain = read_domain_xml(xml);
  if (domain) {
    EXPECT_EQ(domain->nvram, "");
  }
}

TEST(SnapshotXml, NamesEveryDiskAndKeepsPathsData) {
  EXPECT_EQ(snapshot_xml({{"vda", "/i/a'><x & \"y\".qcow2"}}, {"sda"}),
            "<domainsnapshot><disks><disk name='vda' snapshot='external' type='file'>"
            "<driver type='qcow2'/><source file='/i/a&apos;&gt;&lt;x &amp; &quot;y&quot;.qcow2'/>"
            "</disk><disk name='sda' snapshot='no'/></disks></domainsnapshot>");
}

TEST(RemoteHost, IsTheOneInTheUri) {
  EXPECT_EQ(remote_host("qemu:///system"), "");
  EXPECT_EQ(remote_host("qemu+unix:///system?socket=/s"), "");
  EXPECT_EQ(remote_host("qemu+ssh://root@kvm3.example/system"), "kvm3.example");
  EXPECT_EQ(remote_host("qemu+tls://kvm3:16514/system"), "kvm3:16514");
  EXPECT_EQ(remote_host("qemu+ext:///system?command=/c"), "where the URI's command leads");
}

DomainDisk plain_disk() {
  DomainDisk disk;
  disk.target = "vda";
  disk.chain = {{"/i/a.qcow2", "qcow2"}};
  return disk;
}

TEST(BlockGraphOf, RefusesADiskWithAProblemOrAJob) {
  DomainDisks disks;
  disks.disks.push_back(plain_disk());
  ASSERT_TRUE(block_graph_of(disks));
  disks.disks[0].job = "copy";
  EXPECT_EQ(block_graph_of(disks).error().text(),
            "unable to back up the disk 'vda': a job of type 'copy' is at work on it");
  disks.disks[0].problem = "its format is not given";
  EXPECT_EQ(block_graph_of(disks).error().text(),
            "unable to back up the disk 'vda': its format is not given");
  disks.disks[0] = plain_disk();
  disks.disks[0].target = "../vda";
  EXPECT_THAT(block_graph_of(disks).error().text(), HasSubstr("none that a file could have"));
}

TEST(DomainDisks, AFileIsUsedNowOrAtTheNextStart) {
  DomainDisks disks;
  disks.disks.push_back(plain_disk());
  disks.inactive_paths.insert("/i/b.qcow2");
  EXPECT_TRUE(disks.uses("/i/a.qcow2"));
  EXPECT_TRUE(disks.uses("/i/b.qcow2"));
  EXPECT_FALSE(disks.uses("/i/c.qcow2"));
}

TEST(BackupXml, NamesTargetsAndWhatTheyAreTheChangesOf) {
  const std::string xml =
      backup_xml({{"vda", "/b/a&'b.qcow2", ""}, {"vdb", "/b/vdb.qcow2", "holdfast-t-1"}});
  EXPECT_THAT(xml, HasSubstr("<disk name='vda' backup='yes' type='file' backupmode='full'>"));
  EXPECT_THAT(xml, HasSubstr("file='/b/a&amp;&apos;b.qcow2'"));
  EXPECT_THAT(xml, HasSubstr("name='vdb' backup='yes' type='file' backupmode='incremental' "
                             "incremental='holdfast-t-1'"));
  const auto targets = read_backup_targets(xml);
  ASSERT_TRUE(targets) << targets.error().text();
  EXPECT_EQ(*targets, (std::vector<std::string>{"/b/a&'b.qcow2", "/b/vdb.qcow2"}));
}

TEST(BackupXml, OfSomethingElseIsAnError) {
  for (const char* text : {"", "<domain/>", "<domainbackup", "no"})
    EXPECT_FALSE(read_backup_targets(text)) << text;
}

TEST(CheckpointXml, LeavesOutEveryDiskThatIsNotMeant) {
  const std::string xml = checkpoint_xml({"holdfast-t-1", R"({"vdb":"<&>"})", {"vdb"}, {"vda"}});
  EXPECT_THAT(xml, HasSubstr("<name>holdfast-t-1</name>"));
  const auto read = read_checkpoint(xml);
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->name, "holdfast-t-1");
  EXPECT_EQ(read->description, R"({"vdb":"<&>"})");
  ASSERT_EQ(read->disks.size(), 1U);
  EXPECT_EQ(read->disks[0].disk, "vdb");
  EXPECT_FALSE(read->disks[0].changed);
}

constexpr const char* kTwoDisks =
    "<domaincheckpoint><name>n</name><disks>"
    "<disk name='vda' checkpoint='bitmap' bitmap='n' size='65536'/>"
    "<disk name='vdb' checkpoint='bitmap' bitmap='n' size='1x'/>"
    "<disk name='vdc' checkpoint='no'/></disks><domain><name>web1</name></domain>"
    "</domaincheckpoint>";

TEST(CheckpointXml, TellsWhatHasChangedWhereThatIsKnown) {
  const auto read = read_checkpoint(kTwoDisks);
  ASSERT_TRUE(read) << read.error().text();
  ASSERT_EQ(read->disks.size(), 2U);
  EXPECT_EQ(read->disks[0].changed, 65536U);
  EXPECT_FALSE(read->disks[1].changed);
  EXPECT_FALSE(read_checkpoint("<domain/>"));
}

TEST(CheckpointXml, OfOneDiskHasNoBitmapForTheOthers) {
  const auto xml = checkpoint_of_one_disk(kTwoDisks, "vdb");
  ASSERT_TRUE(xml) << xml.error().text();
  EXPECT_THAT(*xml, HasSubstr(R"(<disk name="vda" checkpoint="no" size="65536"/>)"));
  EXPECT_THAT(*xml, HasSubstr(R"(<disk name="vdb" checkpoint="bitmap" bitmap="n")"));
  EXPECT_THAT(*xml, HasSubstr("<domain><name>web1</name></domain>"));
}

}  // namespace
}  // namespace holdfast::host::libvirt
