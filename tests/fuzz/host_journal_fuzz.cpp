// SPDX-License-Identifier: MIT
//
// What the host driver reads of itself: the journal of an interrupted run (snapshot/journal.h), the
// events of a run in a process of its own (command/run_report.h), and the metrics of an earlier run
// (command/metrics.h). Files may be damaged, and a child may have died in the middle of a line.
#include "command/metrics.h"
#include "command/run_report.h"
#include "fuzz.h"
#include "snapshot/journal.h"

namespace holdfast::fuzz {

namespace {

namespace command = host::command;
namespace snapshot = host::snapshot;

using base::ErrorCode;
using command::Event;

void check_error(const base::Error& error) {
  const ErrorCode code = error.code();
  require(code == ErrorCode::kProtocol || code == ErrorCode::kTooLarge ||
              code == ErrorCode::kUnsupported,
          "it says which");
  require(is_one_safe_line(error.one_line()), "the error is one safe line");
}

void check_journal(std::string_view text) {
  const auto journal = snapshot::parse_journal(text);
  if (!journal) return check_error(journal.error());
  const auto again = snapshot::parse_journal(base::to_document(snapshot::to_json(*journal)));
  require(again.has_value(), "a journal that was written can be read");
  require(snapshot::to_json(*again) == snapshot::to_json(*journal), "it is read as it was written");
}

void check_event(std::string_view line) {
  const auto event = command::parse_event(line);
  if (!event) return check_error(event.error());
  require(event->report.status >= 0 && event->report.status <= 255, "a status is one");
  const std::string written = command::line_of(*event);
  require(written.find('\n') == written.size() - 1, "an event is one line");
  const auto again = command::parse_event(std::string_view(written).substr(0, written.size() - 1));
  require(again && again->kind == event->kind, "an event that was written can be read");
}

void check_metrics(std::string_view previous) {
  command::RunReport report{.vm = "web1", .status = 1, .error = {}, .manifest = {}};
  const std::string text = command::metrics_text(report, {}, previous);
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    require(end != std::string_view::npos, "metrics end with a line");
    const std::string_view line = rest.substr(0, end);
    require(is_one_safe_line(line), "a line is a safe one");
    require(line.starts_with("# ") || line.find("{vm=\"web1\"} ") != std::string_view::npos,
            "a value is of this machine");
    rest.remove_prefix(end + 1);
  }
  require(command::metrics_text(report, {}, text) == text, "what was kept is kept again");
}

}  // namespace

void check(std::string_view input) {
  check_journal(input);
  check_event(input.substr(0, input.find('\n')));
  check_metrics(input);
}

}  // namespace holdfast::fuzz
