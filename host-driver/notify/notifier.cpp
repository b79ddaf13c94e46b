// SPDX-License-Identifier: MIT
#include "notify/notifier.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/duration.h"
#include "base/text.h"
#include "notify/mail.h"
#include "notify/variables.h"

namespace holdfast::host::notify {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

Outcome least_told(const std::string& on) {
  return on == "failure" ? Outcome::kFailed : Outcome::kWarning;
}

// What becomes of the memory of one machine; `told`: the news, if they are any, were told.
Remembered after(Remembered before, Outcome now, bool news, bool told, base::WallTime end) {
  if (now == Outcome::kGood) before.last_good = base::format_time(end);
  // What could not be told is news the next time as well.
  if (told || !news) before.told = now;
  return before;
}

}  // namespace

bool is_news(const std::string& on, Outcome before, Outcome now) {
  if (on == "always") return true;
  if (on == "change") return now != before;
  return now >= least_told(on) || before >= least_told(on);
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return base::printable(name.data(), 64);
}

std::vector<Error> Notifier::tell(Notice notice) {
  std::vector<Error> problems;
  std::vector<Remembered> before;
  std::vector<bool> news;
  for (Told& told : notice.machines) {
    before.push_back(memory_.recall(notice.command, told.vm));
    const Outcome now = outcome_of(told.status);
    told.last_good = before.back().last_good;
    told.recovered = now == Outcome::kGood && before.back().told >= least_told(settings_.on);
    news.push_back(is_news(settings_.on, before.back().told, now));
  }
  bool told = false;
  if (std::find(news.begin(), news.end(), true) != news.end()) {
    const auto attempt = [&](Result<void> done) {
      if (!done) return problems.push_back(std::move(done).error());
      told = true;
    };
    if (!settings_.mail.empty()) attempt(send_mail(notice));
    if (!settings_.command.empty()) attempt(run_command(notice));
  }
  for (std::size_t i = 0; i < notice.machines.size(); ++i) {
    const Told& machine = notice.machines[i];
    auto kept = memory_.keep(
        notice.command, machine.vm,
        after(std::move(before[i]), outcome_of(machine.status), news[i], told, notice.end));
    if (kept) continue;
    problems.push_back(
        base::wrap(std::move(kept).error(), "unable to remember what was told, continuing"));
    break;
  }
  return problems;
}

Result<void> Notifier::send_mail(const Notice& notice) {
  const std::string domain = mail_domain(notice.host);
  auto id = make_mail_id(notice.end, domain);
  if (!id) return std::move(id).error();
  const Mail mail{.from = settings_.from.empty() ? "root@" + domain : settings_.from,
                  .to = settings_.mail,
                  .subject = subject_of(notice),
                  .result = std::string(name_of(outcome_of(notice.status))),
                  .body = text_of(notice),
                  .date = notice.end,
                  .id = std::move(*id)};
  // A dot alone on a line ends nothing: -oi, and -i for those that know the one and not the other.
  std::vector<std::string> words{settings_.sendmail, "-t", "-oi", "-i"};
  // Who gets it back if it cannot be delivered.
  if (!settings_.from.empty()) words.insert(words.end(), {"-f", settings_.from});
  const auto outcome = processes_.run({.argv = std::move(words),
                                       .deadline = Deadline::in(settings_.timeout),
                                       .stop = stop_,
                                       .input = text_of(mail)});
  if (outcome.succeeded()) return {};
  Error error = base::wrap(outcome.as_error(settings_.sendmail), "unable to send the mail");
  if (error.code() != ErrorCode::kNotFound) return error;
  return std::move(error).with_hint("install a mail transfer agent, or set notify-sendmail");
}

Result<void> Notifier::run_command(const Notice& notice) {
  const Variables variables{{"COMMAND", notice.command},
                            {"HOST", notice.host},
                            {"RESULT", std::string(name_of(outcome_of(notice.status)))},
                            {"STATUS", std::to_string(notice.status)},
                            {"SUBJECT", subject_of(notice)},
                            {"FAILED", names_of(notice, Outcome::kFailed)},
                            {"WARNED", names_of(notice, Outcome::kWarning)},
                            {"GOOD", names_of(notice, Outcome::kGood)}};
  const auto outcome = processes_.run({.argv = settings_.command,
                                       .environment = environment_with(variables),
                                       .deadline = Deadline::in(settings_.timeout),
                                       .stop = stop_,
                                       .input = base::to_document(json_of(notice))});
  if (outcome.succeeded()) return {};
  return base::wrap(outcome.as_error(settings_.command.front()), "notify-command");
}

}  // namespace holdfast::host::notify
