// SPDX-License-Identifier: MIT
#include "core/plugin_host.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/process_runner.h"
#include "support/temporary_directory.h"

namespace holdfast::core {
namespace {

// NOLINTNEXTLINE(performance-unnecessary-value-param): the interface's type
std::unique_ptr<api::Plugin> make_nothing(api::PluginContext) {
  return nullptr;
}

constexpr api::PluginModule kGood{sizeof(api::PluginModule), api::kApiVersion, "good",
                                  make_nothing};

std::string refusal(const api::PluginModule& module) {
  const auto checked = check_module(&module, "good", "/p/holdfast-good.so");
  return checked ? "none" : checked.error().text();
}

TEST(PluginHost, TakesAModuleOfItsOwnInterface) {
  EXPECT_TRUE(check_module(&kGood, "good", "/p/holdfast-good.so"));
}

TEST(PluginHost, RefusesOtherVersionsWithBothNumbers) {
  api::PluginModule module = kGood;
  module.api_version = 7;
  EXPECT_EQ(refusal(module),
            "unable to use the plugin '/p/holdfast-good.so': its interface is "
            "version 7, holdfastd's is version " +
                std::to_string(api::kApiVersion));
  module = kGood;
  module.struct_size = 8;
  EXPECT_EQ(refusal(module),
            "unable to use the plugin '/p/holdfast-good.so': its description has "
            "8 bytes, holdfastd's has 32");
}

TEST(PluginHost, RefusesAModuleThatIsNotWhatItsFileSays) {
  api::PluginModule module = kGood;
  module.name = "other";
  EXPECT_EQ(refusal(module),
            "unable to use the plugin '/p/holdfast-good.so': it calls itself 'other'");
  module.name = nullptr;
  EXPECT_EQ(refusal(module), "unable to use the plugin '/p/holdfast-good.so': it calls itself ''");
  const auto nothing = check_module(nullptr, "good", "/p/holdfast-good.so");
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().text(),
            "unable to use the plugin '/p/holdfast-good.so': it describes nothing");
}

class PluginHostFiles : public ::testing::Test {
 protected:
  std::string refusal(const std::string& plugin) {
    ResourceConfig resource;
    resource.name = plugin + ":x";
    resource.file = "/etc/x.conf";
    resource.plugin = plugin;
    PluginHost host(directory_.path());
    auto made = host.create(resource, {resource.name, processes_, "/nonexistent"});
    if (made) return "none";
    EXPECT_EQ(base::guest_exit_status(made.error().code()), 23);
    std::string text = made.error().one_line();
    for (std::size_t at = 0; (at = text.find(directory_.path(), at)) != std::string::npos;)
      text.replace(at, directory_.path().size(), "DIR");
    return text;
  }

  support::TemporaryDirectory directory_;
  base::SystemProcessRunner processes_;
};

TEST_F(PluginHostFiles, SaysWhichPackageAMissingPluginIsIn) {
  EXPECT_EQ(refusal("mysql"),
            "/etc/x.conf: plugin 'mysql' cannot be had: unable to open 'DIR/holdfast-mysql.so': No "
            "such file or directory (install the package holdfast-plugin-mysql)");
}

TEST_F(PluginHostFiles, RefusesAFileThatIsNoModule) {
  std::ofstream(directory_.file("holdfast-text.so")) << "text";
  EXPECT_EQ(refusal("text"),
            "/etc/x.conf: plugin 'text' cannot be had: unable to load 'DIR/holdfast-text.so': "
            "DIR/holdfast-text.so: file too short");
}

}  // namespace
}  // namespace holdfast::core
