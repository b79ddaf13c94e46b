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

}  // namespace
}  // namespace holdfast::host::qmp
