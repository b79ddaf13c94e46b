// SPDX-License-Identifier: MIT
#include "tree.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace holdfast::doctor {

namespace {

constexpr const char* kMounts =
    "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
    "23 22 0:21 / /run rw,nosuid shared:2 - tmpfs tmpfs rw\n"
    "24 22 0:22 / /proc rw shared:3 - proc proc rw\n";

// Answers as qemu-ga would.
class VersionRunner final : public base::ProcessRunner {
 public:
  explicit VersionRunner(std::string text) : text_(std::move(text)) {}
  [[nodiscard]] base::ProcessOutcome run(const base::ProcessSpec& spec) override {
    EXPECT_EQ(spec.argv, (std::vector<std::string>{"/usr/sbin/qemu-ga", "--version"}));
    base::ProcessOutcome outcome;
    outcome.ending = base::ProcessOutcome::Ending::kExited;
    outcome.output = text_;
    return outcome;
  }

 private:
  std::string text_;
};

}  // namespace

DoctorTest::DoctorTest() {
  write("/dev/virtio-ports/org.qemu.guest_agent.0", "");
  write("/usr/sbin/qemu-ga", "", 0755);
  write(kOurHook, "", 0755);
  link(kDefaultHook, kOurHook);
  process(300, "qemu-ga", {"/usr/sbin/qemu-ga", "-F/etc/qemu/fsfreeze-hook"});
  process(400, "holdfastd", {"/usr/sbin/holdfastd"});
  process(401, "holdfast-fsd", {"/usr/lib/holdfast/holdfast-fsd"}, "0000000000200000");
  process(402, "holdfast-execd", {"/usr/lib/holdfast/holdfast-execd"});
  mounts("");
  directory("/run");
  link("/var/run", "/run");
  status_ = base::Json{{"holdfast", "0.1.0"},
                       {"state", "idle"},
                       {"resources", base::Json::array({{{"name", "mysql:mysql"},
                                                         {"plugin", "mysql"},
                                                         {"required", true},
                                                         {"state", "ready"},
                                                         {"warnings", base::Json::array()}}})}};
}

void DoctorTest::write(const std::string& path, const std::string& text, mode_t mode) {
  const std::filesystem::path real = root_ + path;
  std::filesystem::create_directories(real.parent_path());
  std::filesystem::remove(real);
  std::ofstream(real) << text;
  ASSERT_EQ(::chmod(real.c_str(), mode), 0);
}

void DoctorTest::link(const std::string& path, const std::string& target) {
  const std::filesystem::path real = root_ + path;
  std::filesystem::create_directories(real.parent_path());
  std::filesystem::create_symlink(target, real);
}

void DoctorTest::directory(const std::string& path, mode_t mode) {
  std::filesystem::create_directories(root_ + path);
  ASSERT_EQ(::chmod((root_ + path).c_str(), mode), 0);
}

void DoctorTest::remove(const std::string& path) {
  std::filesystem::remove_all(root_ + path);
}

void DoctorTest::process(int pid, const std::string& name,
                         const std::vector<std::string>& arguments,
                         const std::string& capabilities) {
  const std::string directory = "/proc/" + std::to_string(pid);
  std::string line;
  for (const std::string& argument : arguments)
    line += argument + '\0';
  write(directory + "/comm", name.substr(0, 15) + "\n");
  write(directory + "/cmdline", line);
  write(directory + "/status", "Name:\t" + name + "\nCapEff:\t" + capabilities + "\n");
}

void DoctorTest::mounts(const std::string& more) {
  write("/proc/self/mountinfo", kMounts + more);
}

Diagnosis DoctorTest::examine() {
  VersionRunner runner(version_);
  return doctor::examine(world_, runner, status_, as_root_);
}

std::vector<std::string> DoctorTest::complaints() {
  std::vector<std::string> found;
  for (const auto& family : examine().families) {
    for (const Finding& finding : family.findings) {
      EXPECT_FALSE(finding.text.empty()) << finding.id;
      if (finding.level == Level::kOk) continue;
      found.push_back(std::string(name_of(finding.level)) + " " + finding.id);
      if (finding.level != Level::kUnknown) {
        EXPECT_FALSE(finding.advice.empty()) << finding.id;
      }
    }
  }
  return found;
}

std::string DoctorTest::text_of(const std::string& id) {
  for (const auto& family : examine().families) {
    for (const Finding& finding : family.findings) {
      if (finding.id == id) return finding.text + " -> " + finding.advice;
    }
  }
  return {};
}

}  // namespace holdfast::doctor
