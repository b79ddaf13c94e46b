// SPDX-License-Identifier: MIT
//
// The fake that the coordinator's tests believe in: it has to keep what real plugins keep.
#include "contract/contract.h"
#include "support/fake_plugin.h"

namespace holdfast::contract {
namespace {

using support::FakeCall;
using support::FakeEnding;

class FakeSubject final : public Subject {
 public:
  std::unique_ptr<api::Plugin> make() override {
    return std::make_unique<support::FakePlugin>("fake:contract", server_, processes_);
  }
  std::vector<base::Setting> settings() const override { return {}; }

  bool can_end_session() const override { return true; }
  void end_session(const api::Identity&) override { server_->close_session(); }

  bool can_block() const override { return true; }
  void block() override { server_->script(FakeCall::kHold, FakeEnding::kHang); }
  void unblock() override { server_->script(FakeCall::kHold, FakeEnding::kSucceed); }

  bool holds_writers() const override { return true; }
  bool others_can_write() override { return !server_->is_locked(); }

 private:
  support::CallLog log_;
  base::SystemProcessRunner processes_;
  std::shared_ptr<support::FakeServer> server_ =
      std::make_shared<support::FakeServer>("fake:contract", log_);
};

const Registration kFake("fake", [] { return std::make_unique<FakeSubject>(); });

}  // namespace
}  // namespace holdfast::contract
