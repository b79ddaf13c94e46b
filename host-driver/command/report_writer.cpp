// SPDX-License-Identifier: MIT
#include "command/report_writer.h"

#include <fcntl.h>

#include <cerrno>

namespace holdfast::host::command {

using base::Error;
using base::ErrorCode;
using base::Result;

Result<base::UniqueFd> ReportWriter::take(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY) {
    return Error(ErrorCode::kUsage,
                 "unable to write to descriptor " + std::to_string(fd) + " of --report-fd");
  }
  (void)::fcntl(fd, F_SETFD, FD_CLOEXEC);
  return base::UniqueFd(fd);
}

void ReportWriter::send(const Event& event) {
  const std::string line = line_of(event);
  std::size_t sent = 0;
  while (fd_.valid() && sent < line.size()) {
    const ssize_t count = ::write(fd_.get(), line.data() + sent, line.size() - sent);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return fd_.reset();
    sent += static_cast<std::size_t>(count);
  }
}

void ReportWriter::step(const std::string& name) {
  last_label_.clear();
  send({.kind = Event::Kind::kStep, .text = name});
}

void ReportWriter::progress(const std::string& label, double percent) {
  const int whole = static_cast<int>(percent);
  if (label == last_label_ && whole == last_percent_) return;
  last_label_ = label;
  last_percent_ = whole;
  send({.kind = Event::Kind::kProgress, .text = label, .percent = static_cast<double>(whole)});
}

void ReportWriter::note(const std::string& text) {
  send({.kind = Event::Kind::kNote, .text = text});
}

void ReportWriter::end(const RunReport& report) {
  send({.kind = Event::Kind::kEnd, .report = report});
}

}  // namespace holdfast::host::command
