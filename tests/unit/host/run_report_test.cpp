// SPDX-License-Identifier: MIT
#include "command/run_report.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "command/report_writer.h"

namespace holdfast::host::command {
namespace {

using base::Error;
using base::ErrorCode;
using base::Json;

RunReport with_status(int status) {
  return {.vm = "vm", .status = status};
}

TEST(RunReport, GivesTheWorstStatusWhateverTheOrder) {
  const std::array<int, 5> worst_first{1, 2, 4, 3, 0};
  for (std::size_t a = 0; a < worst_first.size(); ++a) {
    for (std::size_t b = a; b < worst_first.size(); ++b) {
      EXPECT_EQ(worst_status({with_status(worst_first[a]), with_status(worst_first[b])}),
                worst_first[a]);
      EXPECT_EQ(worst_status({with_status(worst_first[b]), with_status(worst_first[a])}),
                worst_first[a]);
    }
  }
  EXPECT_EQ(worst_status({}), 0);
  EXPECT_EQ(worst_status({with_status(3), with_status(77)}), 1);
}

TEST(RunReport, PassesThroughALine) {
  const RunReport report{
      .vm = "web1",
      .status = 3,
      .error = Error(ErrorCode::kBelowPreferred, "level \n'crash'").with_hint("look"),
      .manifest = {{"id", "x"}}};
  const std::string line = line_of({.kind = Event::Kind::kEnd, .report = report});
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const auto event = parse_event(line.substr(0, line.size() - 1));
  ASSERT_TRUE(event) << event.error().text();
  EXPECT_EQ(event->kind, Event::Kind::kEnd);
  EXPECT_EQ(event->report.status, 3);
  EXPECT_EQ(event->report.error->code(), ErrorCode::kBelowPreferred);
  EXPECT_EQ(event->report.error->one_line(), report.error->one_line());
  EXPECT_EQ(event->report.manifest, report.manifest);
}

TEST(RunReport, PassesThroughALineWithoutErrorAndBackup) {
  std::string line = line_of({.kind = Event::Kind::kEnd, .report = with_status(0)});
  line.pop_back();
  const auto event = parse_event(line);
  ASSERT_TRUE(event) << event.error().text();
  EXPECT_FALSE(event->report.error);
  EXPECT_TRUE(event->report.manifest.is_null());
}

TEST(RunReport, BelievesNoLineThatIsNoEvent) {
  for (const std::string line :
       {"", "x", "[]", "{}", R"({"event":"other","text":""})", R"({"event":"step"})",
        R"({"event":"progress","text":"x"})", R"({"event":"progress","text":"x","percent":"1"})",
        R"({"event":"end"})", R"({"event":"end","status":0,"error":7})",
        R"({"event":"end","status":1,"error":{"code":"io"}})"}) {
    EXPECT_FALSE(parse_event(line)) << line;
  }
}

class ReportWriterTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(::pipe(ends_.data()), 0); }
  void TearDown() override { ::close(ends_[0]); }
  std::array<int, 2> ends_{};
};

TEST_F(ReportWriterTest, WritesOneLinePerEventAndWholePercentsAlone) {
  auto fd = ReportWriter::take(ends_[1]);
  ASSERT_TRUE(fd);
  {
    ReportWriter writer(std::move(*fd));
    writer.step("copy");
    for (int i = 0; i < 300; ++i)
      writer.progress("copying vda", i / 100.0);
    writer.note("a \x1b[31m note");
  }
  std::array<char, 4096> buffer{};
  const ssize_t count = ::read(ends_[0], buffer.data(), buffer.size());
  EXPECT_EQ(std::string(buffer.data(), static_cast<std::size_t>(count)),
            "{\"event\":\"step\",\"text\":\"copy\"}\n"
            "{\"event\":\"progress\",\"percent\":0.0,\"text\":\"copying vda\"}\n"
            "{\"event\":\"progress\",\"percent\":1.0,\"text\":\"copying vda\"}\n"
            "{\"event\":\"progress\",\"percent\":2.0,\"text\":\"copying vda\"}\n"
            "{\"event\":\"note\",\"text\":\"a \\u001b[31m note\"}\n");
}

TEST_F(ReportWriterTest, TakesNoDescriptorThatCannotBeWrittenTo) {
  EXPECT_FALSE(ReportWriter::take(ends_[0]));
  ::close(ends_[1]);
  const auto closed = ReportWriter::take(ends_[1]);
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error().code(), ErrorCode::kUsage);
}

}  // namespace
}  // namespace holdfast::host::command
