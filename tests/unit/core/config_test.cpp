// SPDX-License-Identifier: MIT
#include "core/config.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "support/temporary_directory.h"

namespace holdfast::core {
namespace {

using namespace std::chrono_literals;

class Config : public ::testing::Test {
 protected:
  Config() { std::filesystem::create_directory(directory_.file("resources.d")); }

  void agent(const std::string& text) {
    std::ofstream(directory_.file("agent.conf"))
        << "resource-directory = " << directory_.file("resources.d") << "\n"
        << text;
  }
  void resource(const std::string& name, const std::string& text) {
    std::ofstream(directory_.file("resources.d/" + name)) << text;
  }
  [[nodiscard]] base::Result<AgentConfig> load() const {
    return load_config(directory_.file("agent.conf"), true);
  }
  // The error's whole line, with the test's directory as "DIR".
  [[nodiscard]] std::string error() const {
    auto config = load();
    if (config) return "no error";
    EXPECT_EQ(config.error().code(), base::ErrorCode::kConfiguration);
    EXPECT_EQ(base::guest_exit_status(config.error().code()), 23);
    std::string text = config.error().one_line();
    for (std::size_t at = 0; (at = text.find(directory_.path(), at)) != std::string::npos;) {
      text.replace(at, directory_.path().size(), "DIR");
    }
    return text;
  }

  support::TemporaryDirectory directory_;
};

TEST_F(Config, HasTheDefaultsOfTheDesign) {
  agent("");
  const auto config = load();
  ASSERT_TRUE(config) << config.error().one_line();
  EXPECT_EQ(config->freeze_timeout, 15s);
  EXPECT_EQ(config->thaw_timeout, 5s);
  EXPECT_EQ(config->max_hold, 60s);
  EXPECT_TRUE(config->filesystems.empty());
  EXPECT_FALSE(config->without_filesystems);
  EXPECT_EQ(config->plugin_directory, "/usr/lib/holdfast/plugins");
  EXPECT_EQ(config->run_directory, "/run/holdfast");
  EXPECT_EQ(config->state_directory, "/var/lib/holdfast");
  EXPECT_EQ(config->control_socket, "/run/holdfast/control.sock");
  EXPECT_EQ(config->fs_socket, "/run/holdfast-fs/fs.sock");
  EXPECT_EQ(config->records_kept, 20U);
  EXPECT_TRUE(config->resources.empty());
}

TEST_F(Config, ReadsResourcesInTheOrderOfTheirNames) {
  agent("filesystems = /\nfilesystems = /srv\n");
  resource("b.conf", "plugin = mysql\nsocket = /run/b.sock\nrequired = no\norder = -3\n");
  resource("a.conf", "plugin = postgresql\n");
  resource("a.conf.dpkg-old", "nonsense\n");
  resource(".hidden.conf", "nonsense\n");
  const auto config = load();
  ASSERT_TRUE(config) << config.error().one_line();
  EXPECT_EQ(config->filesystems, (std::vector<std::string>{"/", "/srv"}));
  ASSERT_EQ(config->resources.size(), 2U);
  EXPECT_EQ(config->resources[0].name, "postgresql:a");
  EXPECT_TRUE(config->resources[0].required);
  const ResourceConfig& b = config->resources[1];
  EXPECT_EQ(b.name, "mysql:b");
  EXPECT_FALSE(b.required);
  EXPECT_EQ(b.order, -3);
  ASSERT_EQ(b.settings.size(), 1U);
  EXPECT_EQ(b.settings[0].key, "socket");
  EXPECT_EQ(b.settings[0].origin, directory_.file("resources.d/b.conf") + ":2");
}

TEST_F(Config, NeedsNoFileUnlessItIsNamed) {
  EXPECT_TRUE(load_config(directory_.file("absent.conf"), false));
  EXPECT_EQ(error(), "unable to open 'DIR/agent.conf': No such file or directory");
}

TEST_F(Config, NamesFileAndLineOfWhatIsWrongInTheAgentFile) {
  agent("freze-timeout = 5s\n");
  EXPECT_EQ(error(),
            "DIR/agent.conf:2: unknown key 'freze-timeout' "
            "(did you mean 'freeze-timeout'?)");
  agent("max-hold = 30s\nmax-hold = 40s\n");
  EXPECT_EQ(error(), "DIR/agent.conf:3: key 'max-hold' is given again, after DIR/agent.conf:2");
  agent("freeze-timeout = 15\n");
  EXPECT_EQ(error(),
            "DIR/agent.conf:2: '15' is not right for 'freeze-timeout': a duration such as "
            "500ms, 15s or 2min, 1s to 2min");
  agent("freeze-timeout = 1h\n");
  EXPECT_EQ(error(),
            "DIR/agent.conf:2: '1h' is not right for 'freeze-timeout': a duration such as "
            "500ms, 15s or 2min, 1s to 2min");
  agent("what is this\n");
  EXPECT_EQ(error(), "DIR/agent.conf:2: 'what is this' is not 'key = value'");
  agent("filesystems = auto\nfilesystems = /\n");
  EXPECT_EQ(error(), "DIR/agent.conf: 'filesystems = auto' stands beside others");
  agent("filesystems = var/lib\n");
  EXPECT_EQ(error(),
            "DIR/agent.conf: 'var/lib' is not right for 'filesystems': auto, none or an "
            "absolute path");
}

TEST_F(Config, RefusesADeadManThatIsShorterThanTheFreeze) {
  agent("freeze-timeout = 20s\nmax-hold = 20s\n");
  EXPECT_EQ(error(),
            "DIR/agent.conf: 'max-hold' has to be longer than 'freeze-timeout' "
            "(the dead-man is armed before the freeze begins)");
}

TEST_F(Config, NamesFileAndLineOfWhatIsWrongInAResourceFile) {
  agent("");
  resource("x.conf", "required = yes\n");
  EXPECT_EQ(error(), "DIR/resources.d/x.conf: key 'plugin' is missing");
  resource("x.conf", "plugin = mysql\nrequired = perhaps\n");
  EXPECT_EQ(error(), "DIR/resources.d/x.conf:2: 'perhaps' is not right for 'required': yes or no");
  resource("x.conf", "plugin = ../evil\n");
  EXPECT_EQ(error(), "DIR/resources.d/x.conf: '../evil' cannot be the name of a plugin");
  resource("x.conf", "plugin = mysql\n");
  resource("a b.conf", "plugin = mysql\n");
  EXPECT_EQ(error(),
            "'DIR/resources.d/a b.conf' cannot be the name of a resource "
            "(letters, digits, '.', '_' and '-' only)");
}

}  // namespace
}  // namespace holdfast::core
