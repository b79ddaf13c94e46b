// SPDX-License-Identifier: MIT
//
// The exec plugin with a program that notes whether it holds, and can be told to take its time.
#include <filesystem>
#include <fstream>

#include "contract/contract.h"
#include "support/temporary_directory.h"

namespace holdfast::contract {
namespace {

class ExecSubject final : public Subject {
 public:
  ExecSubject() {
    const std::string held = directory_.file("held");
    // Not writable by others, whatever the umask of the test.
    std::ofstream(program()) << "#!/bin/sh\n"
                             << "if [ -e " << directory_.file("slow") << " ]; then sleep 20; fi\n"
                             << "case $1 in\n"
                             << "  freeze) : >" << held << " ;;\n"
                             << "  thaw) rm -f " << held << " ;;\n"
                             << "  *) exit 2 ;;\n"
                             << "esac\n";
    std::filesystem::permissions(program(), std::filesystem::perms(0755));
  }

  std::unique_ptr<api::Plugin> make() override {
    return plugin_from(HOLDFAST_EXEC_MODULE,
                       {"exec:contract", processes_, directory_.file("state")});
  }
  std::vector<base::Setting> settings() const override {
    return {{"program", program(), "test.conf:1"}};
  }

  bool can_block() const override { return true; }
  void block() override { std::ofstream(directory_.file("slow")) << '\n'; }
  void unblock() override { std::filesystem::remove(directory_.file("slow")); }

  bool holds_writers() const override { return true; }
  bool others_can_write() override { return !std::filesystem::exists(directory_.file("held")); }

 private:
  [[nodiscard]] std::string program() const { return directory_.file("program"); }

  base::SystemProcessRunner processes_;
  support::TemporaryDirectory directory_;
};

const Registration kExec("exec", [] { return std::make_unique<ExecSubject>(); });

}  // namespace
}  // namespace holdfast::contract
