// SPDX-License-Identifier: MIT
#include "redis/redis_plugin.h"

#include <utility>

#include "base/duration.h"
#include "base/text.h"
#include "redis/redis_hold.h"

namespace holdfast::redis {

namespace {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Millis;
using base::Result;

// There is no event to wait for; INFO costs the server some microseconds.
constexpr Millis kJobInterval{20};
constexpr Millis kSettleInterval{5};

std::string connect_hint(ErrorCode code) {
  if (code == ErrorCode::kPermission) return "see PRIVILEGES in holdfast-redis(5)";
  return code == ErrorCode::kUnreachable ? "is the server running, and is this where it listens?"
                                         : "";
}

Result<void> check_kind(const ServerState& state) {
  if (state.run_id.empty()) {
    return Error(ErrorCode::kUnsupported, "INFO names no run of the server");
  }
  if (state.mode == "sentinel") {
    return Error(ErrorCode::kUnsupported, "this is a Sentinel, which holds no data");
  }
  if (!at_least(state, 6, 2)) {
    return Error(ErrorCode::kUnsupported,
                 "version " + state.version + " can't pause writes alone; 6.2 is the first");
  }
  if (state.loading) {
    return Error(ErrorCode::kBusy, "the server is loading its data");
  }
  return {};
}

}  // namespace

Error RedisPlugin::unable(const std::string& what, Error cause) const {
  return base::wrap(std::move(cause), "unable to " + what + " '" + context().resource + "'");
}

Result<void> RedisPlugin::do_finish_config() {
  auto settings = read_redis_settings(options());
  if (!settings) return unable("use the settings of", std::move(settings).error());
  settings_ = std::move(*settings);
  return {};
}

Result<ServerState> RedisPlugin::connect(const Patience& patience) {
  auto state = pause_.connect(settings_.connect, patience);
  Result<void> usable;
  if (state) usable = check_kind(*state);
  if (state && usable) return state;
  pause_.close();
  if (state) return unable("use", std::move(usable).error());
  const ErrorCode code = state.error().code();
  return Error(code, "unable to connect to '" + context().resource + "' at '" +
                         base::printable(settings_.connect.endpoint.text()) + "'")
      .with_hint(connect_hint(code))
      .caused_by(std::move(state).error());
}

std::vector<std::string> RedisPlugin::warnings_for(const ServerState& state) const {
  if (state.aof) return {};
  if (settings_.save == Save::kNo) {
    return {"the append-only file is off and save = no: a snapshot has the data of the last save"};
  }
  if (settings_.save == Save::kBefore) {
    return {
        "the append-only file is off: what is written after the save and before the pause is "
        "not in a snapshot (save = held)"};
  }
  return {};
}

Result<api::ProbeReport> RedisPlugin::probe(Deadline deadline, std::stop_token stop) {
  const Patience patience{.deadline = deadline, .stop = std::move(stop)};
  auto state = connect(patience);
  if (!state) return std::move(state).error();
  const bool saves = !state->aof && settings_.save != Save::kNo;
  if (auto allowed = pause_.check_privileges(saves, patience); !allowed) {
    pause_.close();
    return unable("use", std::move(allowed).error());
  }
  return api::ProbeReport{identity_of(*state, pause_), warnings_for(*state)};
}

Result<void> RedisPlugin::rest(Millis span, const Patience& patience) {
  const Deadline until = Deadline::in(span).earlier_of(patience.deadline);
  // Nothing comes over this session unasked, so input is its end.
  auto input = pause_.control().await_input({.deadline = until, .stop = patience.stop});
  if (input) return Error(ErrorCode::kUnreachable, "the server has closed the session");
  if (input.error().code() != ErrorCode::kTimedOut || patience.deadline.passed()) return input;
  return {};
}

Result<void> RedisPlugin::wait_for_jobs(const Patience& patience) {
  for (;;) {
    auto state = pause_.control().state(patience);
    if (!state) return std::move(state).error();
    if (!state->aof_writable) {
      return Error(ErrorCode::kIo, "the server can't write its append-only file")
          .with_hint("its log says why");
    }
    if (!state->saving && !state->aof_rewriting) return {};
    if (auto rested = rest(kJobInterval, patience); !rested) return rested;
  }
}

Result<void> RedisPlugin::save(const Patience& patience) {
  const Deadline deadline = Deadline::in(settings_.save_timeout).earlier_of(patience.deadline);
  const Patience bounded{.deadline = deadline, .stop = patience.stop};
  bool started = false;
  for (;;) {
    auto state = pause_.control().state(bounded);
    if (!state) return std::move(state).error();
    if (!state->saving) {
      if (started && !state->save_worked) {
        return Error(ErrorCode::kIo, "BGSAVE failed").with_hint("the server's log says why");
      }
      if (started || state->changes == 0) return {};
      auto begun = pause_.control().save_in_background(bounded);
      if (!begun && begun.error().code() != ErrorCode::kBusy) return begun;
      started = begun.has_value();
    }
    auto rested = rest(kJobInterval, bounded);
    if (rested || rested.error().code() != ErrorCode::kTimedOut) {
      if (!rested) return rested;
      continue;
    }
    return Error(ErrorCode::kTimedOut, "the save is not done after " +
                                           base::format_duration(settings_.save_timeout) +
                                           " (save-timeout) or by the end of freeze-timeout")
        .with_hint("raise save-timeout and the agent's freeze-timeout, or turn on appendonly");
  }
}

Result<void> RedisPlugin::prepare(const api::Window&, Deadline deadline, std::stop_token stop) {
  const Patience patience{.deadline = deadline, .stop = std::move(stop)};
  // Nothing is held yet, so a session that was lost while idle may be replaced.
  auto state = connect(patience);
  if (!state) return std::move(state).error();
  run_id_ = state->run_id;
  Result<void> done;
  if (!state->aof && settings_.save == Save::kBefore) {
    done = save(patience);
  } else {
    const Deadline until = Deadline::in(settings_.save_timeout).earlier_of(deadline);
    done = wait_for_jobs({.deadline = until, .stop = patience.stop});
    // A rewrite of the append-only file that goes on is no harm to what the snapshot holds.
    if (!done && done.error().code() == ErrorCode::kTimedOut && !deadline.passed()) done = {};
  }
  if (done) return {};
  return unable("prepare", std::move(done).error());
}

Result<void> RedisPlugin::settle(const Patience& patience) {
  const Deadline deadline = Deadline::in(settings_.settle_timeout).earlier_of(patience.deadline);
  const Patience bounded{.deadline = deadline, .stop = patience.stop};
  for (;;) {
    auto state = pause_.control().state(bounded);
    if (!state) return std::move(state).error();
    if (!state->aof_writable) {
      return Error(ErrorCode::kIo, "the server can't write its append-only file")
          .with_hint("its log says why");
    }
    if (state->aof_unwritten == 0 && state->aof_unsynced == 0) return {};
    auto rested = rest(kSettleInterval, bounded);
    if (rested) continue;
    if (rested.error().code() != ErrorCode::kTimedOut) return rested;
    return Error(ErrorCode::kTimedOut, "the append-only file is not written after " +
                                           base::format_duration(settings_.settle_timeout))
        .with_hint("is its disk too slow? see settle-timeout");
  }
}

Result<std::unique_ptr<api::Hold>> RedisPlugin::hold(const api::Window& window, Deadline deadline,
                                                     std::stop_token stop) {
  const Patience patience{.deadline = deadline, .stop = std::move(stop)};
  const Millis bound = pause_bound(window);
  if (auto begun = pause_.begin(run_id_, bound, patience); !begun) {
    return unable("pause writes on", std::move(begun).error());
  }
  auto failed = [&](Error cause) {
    pause_.abandon();
    return unable("settle the data of", std::move(cause));
  };
  auto state = pause_.control().state(patience);
  if (state && state->run_id != run_id_) {
    return failed(Error(ErrorCode::kRefused, "the server was restarted during the freeze"));
  }
  Result<void> settled;
  const bool saves = state && !state->aof && settings_.save == Save::kHeld;
  if (state && state->aof) settled = settle(patience);
  if (saves) settled = save(patience);
  if (!settled) return failed(std::move(settled).error());
  if (state) state = pause_.control().state(patience);
  if (!state) return failed(std::move(state).error());
  api::Position details{{"lock", "client-pause"},
                        {"bound-ms", std::to_string(bound.count())},
                        {"persistence", state->aof ? "aof" : "rdb"}};
  std::vector<std::string> warnings;
  if (!state->aof && state->changes > 0) {
    warnings.push_back("a snapshot lacks " + std::to_string(state->changes) +
                       " changes since the last save");
  }
  return std::make_unique<RedisHold>(pause_, context().resource, std::move(*state),
                                     std::move(details), std::move(warnings));
}

}  // namespace holdfast::redis
