// SPDX-License-Identifier: MIT
//
// The redis plugin, with an append-only file and without, against the real servers that the runner
// has started.
#include <hiredis/hiredis.h>

#include <csignal>
#include <stdexcept>

#include "contract/contract.h"
#include "support/temporary_directory.h"

namespace holdfast::contract {
namespace {

// The administrator's own connections.
class Administrator {
 public:
  explicit Administrator(std::string socket) : socket_(std::move(socket)) {}

  void run(const char* command, const std::string& argument) {
    redisContext* context = connect();
    void* reply = redisCommand(context, command, argument.c_str());
    const bool worked = reply != nullptr && !is_error(reply);
    freeReplyObject(reply);
    redisFree(context);
    if (!worked) throw std::runtime_error(command);
  }

  // Within a second; a connection of its own, which goes with the command that is still waiting.
  bool can_write() {
    redisContext* context = connect();
    (void)redisSetTimeout(context, timeval{1, 0});
    void* reply = redisCommand(context, "SET contract 1");
    const bool written = reply != nullptr && !is_error(reply);
    freeReplyObject(reply);
    redisFree(context);
    return written;
  }

 private:
  redisContext* connect() {
    redisContext* context = redisConnectUnix(socket_.c_str());
    if (context == nullptr || context->err != 0) throw std::runtime_error("unable to connect");
    return context;
  }
  static bool is_error(const void* reply) {
    return static_cast<const redisReply*>(reply)->type == REDIS_REPLY_ERROR;
  }

  std::string socket_;
};

class RedisSubject final : public Subject {
 public:
  explicit RedisSubject(const std::string& which)
      : socket_(environment(("HOLDFAST_TEST_REDIS_" + which + "_SOCKET").c_str())),
        server_(static_cast<pid_t>(
            std::stol(environment(("HOLDFAST_TEST_REDIS_" + which + "_PID").c_str())))),
        administrator_(socket_) {}

  std::unique_ptr<api::Plugin> make() override {
    return plugin_from(HOLDFAST_REDIS_MODULE,
                       {"redis:contract", processes_, state_.file("state"), state_.file("note")});
  }
  std::vector<base::Setting> settings() const override {
    return {{"socket", socket_, "test.conf:1"},
            {"user", "holdfast", "test.conf:2"},
            {"password-file", environment("HOLDFAST_TEST_REDIS_PASSWORD_FILE"), "test.conf:3"},
            {"save", "held", "test.conf:4"}};
  }

  bool can_end_session() const override { return true; }
  void end_session(const api::Identity& identity) override {
    administrator_.run("CLIENT KILL ID %s", identity.session_id);
  }

  bool lock_ends_with_session() const override { return false; }

  // Nothing that others do makes it wait, but a server that stops answering does.
  bool can_block() const override { return true; }
  void block() override { pause(); }
  void unblock() override { resume(); }

  bool can_pause() const override { return true; }
  void pause() override { signal_family(server_, SIGSTOP); }
  void resume() override { signal_family(server_, SIGCONT); }

  bool holds_writers() const override { return true; }
  bool others_can_write() override { return administrator_.can_write(); }

 private:
  base::SystemProcessRunner processes_;
  support::TemporaryDirectory state_;
  std::string socket_;
  pid_t server_;
  Administrator administrator_;
};

const Registration kAof("redis_aof", [] { return std::make_unique<RedisSubject>("AOF"); });
const Registration kRdb("redis_rdb", [] { return std::make_unique<RedisSubject>("RDB"); });

}  // namespace
}  // namespace holdfast::contract
