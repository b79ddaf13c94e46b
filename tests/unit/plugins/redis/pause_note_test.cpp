// SPDX-License-Identifier: MIT
#include "redis/pause_note.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"
#include "support/temporary_directory.h"

namespace holdfast::redis {
namespace {

using base::Millis;

TEST(PauseNote, NamesTheRunOfTheServerUntilItIsForgotten) {
  const support::TemporaryDirectory directory;
  const PauseNote note(directory.file("note"));
  EXPECT_EQ(note.read(), std::nullopt);
  ASSERT_TRUE(note.write("run", Millis(60000)));
  EXPECT_EQ(PauseNote(directory.file("note")).read(), "run");
  struct stat status {};
  ASSERT_EQ(::stat(directory.file("note").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  note.forget();
  EXPECT_EQ(note.read(), std::nullopt);
}

TEST(PauseNote, IsOverWithTheBound) {
  const support::TemporaryDirectory directory;
  const PauseNote note(directory.file("note"));
  ASSERT_TRUE(note.write("run", Millis(-1)));
  EXPECT_EQ(note.read(), std::nullopt);
}

TEST(PauseNote, ThatCannotBeReadIsNone) {
  const support::TemporaryDirectory directory;
  for (const char* text : {"", "{}", "nonsense", R"({"run-id": 1, "until-ms": "x"})"}) {
    ASSERT_TRUE(base::write_file(directory.file("note"), text, 0600, base::Durable::kNo));
    EXPECT_EQ(PauseNote(directory.file("note")).read(), std::nullopt) << text;
  }
}

TEST(PauseNote, ThatCannotBeWrittenSaysSo) {
  EXPECT_FALSE(PauseNote("/nonexistent/note").write("run", Millis(1000)));
  EXPECT_TRUE(PauseNote("").write("run", Millis(1000))) << "none is to be kept";
}

}  // namespace
}  // namespace holdfast::redis
