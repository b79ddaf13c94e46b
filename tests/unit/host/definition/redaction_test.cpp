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

TEST(Redaction, TakesWhatIsCalledLikeASecretAndInNoList) {
  EXPECT_EQ(redacted("-spice", "tls-port=5901,x509-key-password=p"),
            "tls-port=5901,x509-key-password=<redacted>");
  EXPECT_EQ(redacted("-netdev", "l2tpv3,id=n,src=a,txcookie=0x1,rxcookie=0x2"),
            "l2tpv3,id=n,src=a,txcookie=<redacted>,rxcookie=<redacted>");
  for (const char* key : {"Access-Token", "proxy_password", "userpass", "some-credential",
                          "x.api-key", "private_key", "secret"}) {
    EXPECT_EQ(redacted("-device", std::string("new-device,id=d,") + key + "=v"),
              std::string("new-device,id=d,") + key + "=<redacted>");
  }
  EXPECT_EQ(redacted("-device", R"({"driver":"x","tokens":["a","b"],"passphrase":{"of":"c"}})"),
            R"({"driver":"x","tokens":"<redacted>","passphrase":"<redacted>"})");
}

TEST(Redaction, KeepsSwitchesAndNamesOfSecrets) {
  for (const char* word : {":1,password=on", ":1,password", ":1,password-secret=s0"})
    EXPECT_EQ(redacted("-vnc", word), word);
  EXPECT_EQ(redacted("-object", "secret,id=s0,file=/etc/key"), "secret,id=s0,file=/etc/key");
  for (const char* word : {"driver=luks,key-secret=s0,file.encrypt.key-secret=s1",
                           "driver=https,password-secret=s0,cookie-secret=s1,url=https://h/i"}) {
    EXPECT_EQ(redacted("-blockdev", word), word);
  }
  EXPECT_EQ(redacted("-object", "tls-creds-x509,id=t,dir=/etc/pki,passwordid=s0"),
            "tls-creds-x509,id=t,dir=/etc/pki,passwordid=s0");
  EXPECT_EQ(redacted("-device", "x,iommu-bypass=4"), "x,iommu-bypass=4");
  EXPECT_EQ(redacted("-blockdev", R"({"driver":"x","cookie":"","token":null,"password":true})"),
            R"({"driver":"x","cookie":"<redacted>","token":null,"password":true})");
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
  EXPECT_EQ(redacted("-append", "rd.cifspass=p apitoken=t MYSQL_PASSWORD=m x-secret=s"),
            "rd.cifspass=<redacted> apitoken=<redacted> MYSQL_PASSWORD=<redacted> "
            "x-secret=<redacted>");
  EXPECT_EQ(redacted("-append", "netroot=iscsi:u:p@10.0.0.1::3260::iqn.x ip=dhcp"),
            "netroot=iscsi:<redacted>@10.0.0.1::3260::iqn.x ip=dhcp");
  EXPECT_EQ(redacted("-append", "inst.ks=https://u:p@h/ks.cfg?token=t ro"),
            "inst.ks=https://<redacted>@h/ks.cfg?<redacted> ro");
  for (const char* line : {"console=ttyS0 ro", "iommu.passthrough=1 root=UUID=a",
                           "netroot=iscsi:10.0.0.1::3260::iqn.x", "systemd.import_credentials=no"})
    EXPECT_EQ(redacted("-append", line), line);
}

TEST(Redaction, TakesUsersAndPasswordsOutOfAddresses) {
  EXPECT_EQ(redacted("-cdrom", "https://u:p@host/a.iso"), "https://<redacted>@host/a.iso");
  EXPECT_EQ(redacted("-drive", "file=iscsi://u%p@host/iqn/0,if=none"),
            "file=iscsi://<redacted>@host/iqn/0,if=none");
  EXPECT_EQ(redacted("-drive", "file=ssh://user@host/a.img"), "file=ssh://user@host/a.img");
  EXPECT_EQ(redacted("-drive", "file=ssh://user:p@host/a.img"), "file=ssh://<redacted>@host/a.img");
  EXPECT_EQ(redacted("-drive", "file=https://a-token@host/a.img"),
            "file=https://<redacted>@host/a.img");
  EXPECT_EQ(redacted("-drive", "file=https://u:p,,w@host/a.img"),
            "file=https://<redacted>@host/a.img");
  EXPECT_EQ(redacted("-cdrom", "https://h/a.iso?X-Amz-Signature=abc&n=1"),
            "https://h/a.iso?<redacted>");
  EXPECT_EQ(redacted("-blockdev", R"({"driver":"https","url":"https://h/a?sig=b"})"),
            R"({"driver":"https","url":"https://h/a?<redacted>"})");
  EXPECT_EQ(redacted("-drive", "file=nbd+unix:///disk?socket=/run/nbd"),
            "file=nbd+unix:///disk?socket=/run/nbd");
  EXPECT_EQ(redacted("-hda", "rbd:pool/img:id=a:key=QUJD:auth_supported=cephx"),
            "rbd:pool/img:id=a:key=<redacted>:auth_supported=cephx");
  EXPECT_EQ(redacted("-drive", "file=https://h/a@b.img"), "file=https://h/a@b.img");
  EXPECT_EQ(redacted("-drive", "file=rbd:pool/img:id=a:key=QUJD=\\::auth_supported=cephx"),
            "file=rbd:pool/img:id=a:key=<redacted>:auth_supported=cephx");
}

TEST(Redaction, LooksIntoAnImagesNameInJson) {
  EXPECT_EQ(redacted("-drive", R"(file=json:{"driver":"x",,"password":"p"},if=none)"),
            R"(file=json:{"driver":"x",,"password":"<redacted>"},if=none)");
  EXPECT_EQ(redacted("-drive", "file=json:{broken,if=none"), "file=json:<redacted>,if=none");
  EXPECT_EQ(redacted("-hda", R"(json:{"driver":"x","password":"p","url":"http://h/?a=b"})"),
            R"(json:{"driver":"x","password":"<redacted>","url":"http://h/?<redacted>"})");
  EXPECT_EQ(redacted("-hda", R"(json:{"driver":"x",,"password":"p"})"), "json:<redacted>");
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
