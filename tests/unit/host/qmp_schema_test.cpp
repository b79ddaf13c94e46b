// SPDX-License-Identifier: MIT
#include "qmp/schema.h"

#include <gtest/gtest.h>

#include "support/scripted_peer.h"

namespace holdfast::host::qmp {
namespace {

using base::Deadline;
using base::Json;
using base::Millis;
using namespace support;

bool takes(const Json& schema, const std::string& argument) {
  ScriptedPeer peer(kQmpGreeting, {returns("qmp_capabilities", Json::object()),
                                   returns("query-qmp-schema", schema)});
  const Deadline deadline = Deadline::in(Millis(5000));
  auto client = Client::connect(peer.path(), deadline, {});
  EXPECT_TRUE(client) << client.error().text();
  const bool answer = command_takes(*client, "blockdev-backup", argument, deadline);
  EXPECT_EQ(peer.finish(), "");
  return answer;
}

const Json kCommand{{"name", "blockdev-backup"}, {"meta-type", "command"}, {"arg-type", "17"}};

Json arguments(const char* name) {
  return {{"name", "17"},
          {"meta-type", "object"},
          {"members", {{{"name", "target"}, {"type", "str"}}, {{"name", name}, {"type", "9"}}}}};
}

TEST(CommandTakes, WhatTheSchemaHas) {
  EXPECT_TRUE(takes({kCommand, arguments("on-cbw-error")}, "on-cbw-error"));
  EXPECT_FALSE(takes({kCommand, arguments("speed")}, "on-cbw-error"));
}

TEST(CommandTakes, NothingIfTheSchemaIsNone) {
  for (const Json& schema :
       {Json(), Json("x"), Json::array(), Json::array({1, "x"}), Json::array({kCommand}),
        Json::array({{{"name", "blockdev-backup"}, {"meta-type", "command"}}}),
        Json::array({kCommand, {{"name", "17"}, {"meta-type", "object"}, {"members", 3}}}),
        Json::array({kCommand, {{"name", "17"}, {"meta-type", "enum"}}})}) {
    EXPECT_FALSE(takes(schema, "on-cbw-error")) << schema;
  }
}

base::Result<void> compresses(const Json& schema) {
  ScriptedPeer peer(kQmpGreeting, {returns("qmp_capabilities", Json::object()),
                                   returns("query-qmp-schema", schema)});
  const Deadline deadline = Deadline::in(Millis(5000));
  auto client = Client::connect(peer.path(), deadline, {});
  EXPECT_TRUE(client) << client.error().text();
  auto answer = require_compression(*client, "zstd", deadline);
  EXPECT_EQ(peer.finish(), "");
  return answer;
}

// As QEMU says it: every type has a number for a name.
Json schema_of_compression(const Json& kinds) {
  return {
      {{"name", "blockdev-create"}, {"meta-type", "command"}, {"arg-type", "1"}},
      {{"name", "1"},
       {"meta-type", "object"},
       {"members", {{{"name", "job-id"}, {"type", "str"}}, {{"name", "options"}, {"type", "2"}}}}},
      {{"name", "2"},
       {"meta-type", "object"},
       {"tag", "driver"},
       {"variants", {{{"case", "file"}, {"type", "9"}}, {{"case", "qcow2"}, {"type", "3"}}}}},
      {{"name", "3"},
       {"meta-type", "object"},
       {"members", {{{"name", "compression-type"}, {"type", "4"}}}}},
      {{"name", "4"}, {"meta-type", "enum"}, {"values", kinds}}};
}

TEST(RequireCompression, LooksAtWhatQcow2ImagesMayBeCreatedWith) {
  EXPECT_TRUE(compresses(schema_of_compression({"zlib", "zstd"})));
  const auto without = compresses(schema_of_compression({"zlib"}));
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().code(), base::ErrorCode::kUnsupported);
  EXPECT_TRUE(without.error().one_line().ends_with(
      " of this machine is unable to compress with zstd ('compress = none' does without)"))
      << without.error().one_line();
}

TEST(RequireCompression, FindsNoneInASchemaThatIsNone) {
  const Json whole = schema_of_compression({"zlib", "zstd"});
  for (std::size_t i = 0; i < whole.size(); ++i) {
    Json without = whole;
    without.erase(i);
    EXPECT_FALSE(compresses(without)) << without;
    Json other = whole;
    other[i] = {{"name", other[i]["name"]}, {"meta-type", other[i]["meta-type"]}};
    EXPECT_FALSE(compresses(other)) << other;
  }
  for (const Json& schema : {Json(), Json("zstd"), Json::array(), Json::array({"zstd"})})
    EXPECT_FALSE(compresses(schema)) << schema;
}

}  // namespace
}  // namespace holdfast::host::qmp
