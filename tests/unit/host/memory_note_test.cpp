// SPDX-License-Identifier: MIT
#include "snapshot/checkpoint/memory_note.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "support/temporary_directory.h"

namespace holdfast::host::snapshot {
namespace {

using base::ErrorCode;
using support::TemporaryDirectory;

TEST(MemoryNote, ReadsBackWhatItWrote) {
  TemporaryDirectory directory;
  const MemoryNoteFile file(directory.file("web1.json"));
  EXPECT_EQ(file.path(), directory.file("web1.memory"));
  EXPECT_FALSE(file.load()->has_value());
  const MemoryNote note{.run = "1f3a9c0b",
                        .file = "/r/memory.state",
                        .live = true,
                        .resume = true,
                        .max_bandwidth = 134217728,
                        .background_snapshot = false,
                        .events = true};
  ASSERT_TRUE(file.save(note));
  const auto loaded = file.load();
  ASSERT_TRUE(loaded && *loaded);
  EXPECT_EQ(**loaded, note);
  ASSERT_TRUE(file.remove());
  ASSERT_TRUE(file.remove());
  EXPECT_FALSE(file.load()->has_value());
}

TEST(MemoryNote, IsRefusedWhenItIsNone) {
  TemporaryDirectory directory;
  const MemoryNoteFile file(directory.file("web1.json"));
  ASSERT_TRUE(base::write_file(file.path(), "{\"schema\": 1}", 0600, base::Durable::kNo));
  const auto loaded = file.load();
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(loaded.error().text().find("web1.memory"), std::string::npos);
}

}  // namespace
}  // namespace holdfast::host::snapshot
