// SPDX-License-Identifier: MIT
#include "notify/mail.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "config/addresses.h"
#include "support/temporary_directory.h"

namespace holdfast::host::notify {
namespace {

Mail example() {
  return {.from = "root@kvm1",
          .to = {"root", "admin@example.org"},
          .subject = "kvm1: backup done: web1",
          .result = "good",
          .body = "All well.\n",
          .date = base::WallTime(std::chrono::seconds(1795318440)),
          .id = "x@kvm1"};
}

TEST(MailText, IsTheWholeMail) {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  EXPECT_EQ(text_of(example()),
            "From: Holdfast <root@kvm1>\n"
            "To: root,\n admin@example.org\n"
            "Subject: kvm1: backup done: web1\n"
            "Date: Sun, 22 Nov 2026 03:34:00 +0000\n"
            "Message-ID: <x@kvm1>\n"
            "Auto-Submitted: auto-generated\n"
            "X-Holdfast-Result: good\n"
            "MIME-Version: 1.0\n"
            "Content-Type: text/plain; charset=utf-8\n"
            "Content-Transfer-Encoding: 7bit\n"
            "\n"
            "All well.\n");
}

TEST(MailText, HasNoMoreHeadersThanThatWhateverTheSubjectSays) {
  for (const std::string evil : {"a\nBcc: eve@example.org", "a\r\nBcc: eve@example.org\r\n\r\nhi",
                                 "a\r Bcc: x", "a\x0b\x0c\x00 b\n\n.\n"}) {
    Mail mail = example();
    mail.subject = evil;
    mail.result = evil;
    const std::string text = text_of(mail);
    EXPECT_EQ(text.find("\nBcc"), std::string::npos);
    EXPECT_EQ(text.find('\r'), std::string::npos);
    EXPECT_EQ(text.find("\n\n"), text.find("\n\nAll well.\n"));
  }
}

TEST(MailText, EncodesABodyThatIsNotPlain) {
  Mail mail = example();
  mail.body = "größer\n";
  const std::string text = text_of(mail);
  EXPECT_NE(text.find("Content-Transfer-Encoding: quoted-printable\n\ngr=C3=B6=C3=9Fer\n"),
            std::string::npos);
}

TEST(MailDomain, IsTheMailnameOrElseTheHosts) {
  const support::TemporaryDirectory root;
  EXPECT_EQ(mail_domain("kvm1", root.path()), "kvm1");
  EXPECT_EQ(mail_domain("not a name", root.path()), "localhost");
  std::filesystem::create_directory(root.path() + "/etc");
  ASSERT_TRUE(base::write_file(root.path() + "/etc/mailname", "kvm1.example.org\n", 0644,
                               base::Durable::kNo));
  EXPECT_EQ(mail_domain("kvm1", root.path()), "kvm1.example.org");
  ASSERT_TRUE(base::write_file(root.path() + "/etc/mailname", "x>\ny\n", 0644, base::Durable::kNo));
  EXPECT_EQ(mail_domain("kvm1", root.path()), "kvm1");
}

TEST(Addresses, AreWhatPeopleHave) {
  for (const char* right : {"root", "a.b+c@example.org", "x@localhost", "o'neil@ex-ample.org"})
    EXPECT_TRUE(config::check_address(right)) << right;
  for (const std::string& wrong :
       {std::string(), std::string("-f"), std::string("a@"), std::string("@b"),
        std::string("a@b@c"), std::string("a b"), std::string("<a@b>"), std::string("a@b\nBcc: c"),
        std::string("a,b"), std::string("a..b"), std::string(".a"), std::string("ö@b"),
        std::string("a@b;c"), std::string("a(b)"), std::string("\"a\"@b"), std::string(65, 'a'),
        "a@" + std::string(260, 'b')}) {
    EXPECT_FALSE(config::check_address(wrong)) << wrong;
  }
}

TEST(Addresses, StandInAListWithCommasOrBlanks) {
  EXPECT_EQ(config::addresses_in(" a@b, c@d\te ").value(),
            (std::vector<std::string>{"a@b", "c@d", "e"}));
  EXPECT_TRUE(config::addresses_in("").value().empty());
  EXPECT_EQ(config::addresses_in("a, <b>").error().text(), "'<b>' is not a mail address");
  std::string many;
  for (int i = 0; i < 51; ++i)
    many += "a ";
  EXPECT_FALSE(config::addresses_in(many));
}

}  // namespace
}  // namespace holdfast::host::notify
