// SPDX-License-Identifier: MIT
#include "definition/redaction.h"

#include <gtest/gtest.h>

namespace holdfast::host::definition {
namespace {

using base::Json;

// What becomes of one word behind an option.
std::string redacted(const std::string& option, const std::string& word) {
  const RedactedWords result = redact({"qemu-system-x86_64", option, word});
  EXPECT_EQ(result.words.size(), 3U);
  EXPECT_EQ(result.redactions.empty(), result.words[2] == word);
  return result.words[2];
}

TEST(Redaction, TakesTheDataOfASecret) {
  EXPECT_EQ(redacted("-object", "secret,id=s0,data=c0re"), "secret,id=s0,data=<redacted>");
  EXPECT_EQ(redacted("--object", "secret,data=a,,b,id=s0"), "secret,data=<redacted>,id=s0");
  EXPECT_EQ(redacted("-object", R"({"qom-type":"secret","id":"s0","data":"c0re"})"),
            R"({"qom-type":"secret","id":"s0","data":"<redacted>"})");
  EXPECT_EQ(redacted("-set", "object.s0.data=c0re"), "object.s0.data=<redacted>");
}

TEST(Redaction, TakesPasswordsWhereverTheyStand) {
  EXPECT_EQ(redacted("-spice", "port=5900,password=tops3cret"), "port=5900,password=<redacted>");
  EXPECT_EQ(redacted("-iscsi", "user=u,password=p"), "user=u,password=<redacted>");
  EXPECT_EQ(redacted("-drive", "file.driver=https,file.cookie=abc,if=none"),
            "file.driver=https,file.cookie=<redacted>,if=none");
  EXPECT_EQ(redacted("-blockdev", R"({"driver":"raw","file":{"driver":"x","password":"p"}})"),
            R"({"driver":"raw","file":{"driver":"x","password":"<redacted>"}})");
  EXPECT_EQ(redacted("-blockdev", R"({"driver":"x","password":7})"),
            R"({"driver":"x","password":"<redacted>"})");
}

TEST(Redaction, KeepsSwitchesAndNamesOfSecrets) {
  for (const char* word : {":1,password=on", ":1,password", ":1,password-secret=s0"})
    EXPECT_EQ(redacted("-vnc", word), word);
  EXPECT_EQ(redacted("-object", "secret,id=s0,file=/etc/key"), "secret,id=s0,file=/etc/key");
  EXPECT_EQ(redacted("-device", "virtio-blk-pci,drive=data,serial=d0"),
            "virtio-blk-pci,drive=data,serial=d0");
}

TEST(Redaction, TakesWhatAGuestIsConfiguredBy) {
  EXPECT_EQ(redacted("-fw_cfg", "name=opt/a,string=x,,y"), "name=opt/a,string=<redacted>");
  EXPECT_EQ(redacted("-fw_cfg", "name=opt/a,file=/etc/a"), "name=opt/a,file=/etc/a");
  EXPECT_EQ(redacted("-smbios", "type=11,value=io.systemd.credential:a=b,value=c"),
            "type=11,value=<redacted>,value=<redacted>");
  EXPECT_EQ(redacted("-smbios", "type=1,serial=s,uuid=u"), "type=1,serial=s,uuid=u");
}

TEST(Redaction, TakesCredentialsOutOfTheKernelsCommandLine) {
  EXPECT_EQ(redacted("-append", "root=/dev/vda1 systemd.set_credential=a:b quiet"),
            "root=/dev/vda1 systemd.set_credential=<redacted> quiet");
  EXPECT_EQ(redacted("-append", "a.password=\"x y\"  ro"), "a.password=<redacted>  ro");
  EXPECT_EQ(redacted("-append", "console=ttyS0 ro"), "console=ttyS0 ro");
}

TEST(Redaction, TakesUsersAndPasswordsOutOfAddresses) {
  EXPECT_EQ(redacted("-cdrom", "https://u:p@host/a.iso"), "https://<redacted>@host/a.iso");
  EXPECT_EQ(redacted("-drive", "file=iscsi://u%p@host/iqn/0,if=none"),
            "file=iscsi://<redacted>@host/iqn/0,if=none");
  EXPECT_EQ(redacted("-drive", "file=ssh://user@host/a.img"), "file=ssh://user@host/a.img");
  EXPECT_EQ(redacted("-drive", "file=rbd:pool/img:id=a:key=QUJD=\\::auth_supported=cephx"),
            "file=rbd:pool/img:id=a:key=<redacted>:auth_supported=cephx");
}

TEST(Redaction, LooksIntoAnImagesNameInJson) {
  EXPECT_EQ(redacted("-drive", R"(file=json:{"driver":"x",,"password":"p"},if=none)"),
            R"(file=json:{"driver":"x",,"password":"<redacted>"},if=none)");
  EXPECT_EQ(redacted("-drive", "file=json:{broken,if=none"), "file=json:<redacted>,if=none");
}

TEST(Redaction, TakesAllOfWhatItCannotRead) {
  EXPECT_EQ(redacted("-object", R"({"qom-type":"secret","data":)"), "<redacted>");
}

TEST(Redaction, SaysWhichWordsItHasTakenFrom) {
  const RedactedWords result =
      redact({"qemu", "-name", "web", "-object", "secret,id=a,data=b", "-m", "1G"});
  ASSERT_EQ(result.redactions.size(), 1U);
  EXPECT_EQ(result.redactions[0].word, 4U);
  EXPECT_EQ(result.redactions[0].what, "data of -object");
  EXPECT_EQ(result.words[2], "web");
}

TEST(Redaction, GoesThroughADocument) {
  Json document = Json::parse(
      R"([{"file": "json:{\"driver\":\"x\",\"password\":\"p\"}", "data": "kept"},
          {"image": {"filename": "ftp://u:p@h/i"}, "password": null}])");
  EXPECT_TRUE(redact(document));
  EXPECT_EQ(base::to_line(document),
            R"([{"file":"json:{\"driver\":\"x\",\"password\":\"<redacted>\"}","data":"kept"},)"
            R"({"image":{"filename":"ftp://<redacted>@h/i"},"password":null}])");
  EXPECT_FALSE(redact(document));
}

}  // namespace
}  // namespace holdfast::host::definition
