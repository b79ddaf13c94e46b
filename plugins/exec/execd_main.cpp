// SPDX-License-Identifier: MIT
//
// holdfast-execd: parses the command line, opens the socket, serves until SIGTERM.
#include <pwd.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <boost/program_options.hpp>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "base/command_line.h"
#include "base/text.h"
#include "base/unix_socket.h"
#include "exec/claims.h"
#include "exec/exec_settings.h"
#include "exec/execd_server.h"
#include "exec/journal_line.h"

namespace {

namespace po = boost::program_options;
using holdfast::base::ErrorCode;
using holdfast::base::Result;
using holdfast::base::UniqueFd;
using holdfast::exec::journal_line;
using holdfast::exec::JournalLevel;

constexpr mode_t kSocketMode = 0600;

struct Arguments {
  std::string socket;
  std::string resource_directory;
  std::string user;
};

// The socket belongs to the service's user, so that its mode can shut out everybody else.
Result<std::vector<uid_t>> hand_to_user(const Arguments& arguments) {
  std::vector<uid_t> peers{0, ::geteuid()};
  const passwd* user = ::getpwnam(arguments.user.c_str());
  if (user == nullptr) {
    journal_line(
        JournalLevel::kWarning,
        "there is no user '" + holdfast::base::printable(arguments.user) + "', serving root alone");
    return peers;
  }
  if (::geteuid() == 0 && ::chown(arguments.socket.c_str(), user->pw_uid, 0) != 0) {
    return holdfast::base::errno_error(
        errno, "unable to hand over '" + holdfast::base::printable(arguments.socket) + "'");
  }
  peers.push_back(user->pw_uid);
  return peers;
}

Result<void> serve(const Arguments& arguments) {
  // Before any thread is made, so that all inherit it and the descriptor gets every signal.
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  if (::sigprocmask(SIG_BLOCK, &signals, nullptr) != 0) {
    return holdfast::base::errno_error(errno, "unable to block signals");
  }
  const UniqueFd stop(::signalfd(-1, &signals, SFD_CLOEXEC));
  if (!stop.valid()) return holdfast::base::errno_error(errno, "unable to await signals");

  auto listener = holdfast::base::listen_unix(arguments.socket, kSocketMode);
  if (!listener) return std::move(listener).error();
  auto peers = hand_to_user(arguments);
  if (!peers) return std::move(peers).error();

  holdfast::base::SystemProcessRunner processes;
  holdfast::exec::Claims claims;
  const holdfast::exec::ExecdContext context{arguments.resource_directory, processes, claims};
  holdfast::exec::ExecdServer server(std::move(*listener), context, std::move(*peers));
  (void)::sd_notify(0, "READY=1");
  auto served = server.serve(stop.get());
  (void)::unlink(arguments.socket.c_str());
  return served;
}

int run(int argc, char** argv) {
  Arguments arguments;
  po::options_description options("Options");
  options.add_options()(
      "socket", po::value(&arguments.socket)->default_value(holdfast::exec::kDefaultExecdSocket),
      "where to listen")("resource-directory",
                         po::value(&arguments.resource_directory)
                             ->default_value(holdfast::exec::kDefaultResourceDirectory),
                         "where the resource files are")(
      "user", po::value(&arguments.user)->default_value("holdfast"),
      "the user that may connect, beside root")("version", "print the version")("help",
                                                                                "print this help");
  po::variables_map given;
  try {
    po::store(po::command_line_parser(argc, argv)
                  .options(options)
                  .positional(po::positional_options_description{})
                  .run(),
              given);
    po::notify(given);
  } catch (const po::error& error) {
    std::cerr << "holdfast-execd: " << holdfast::base::complaint_about({argv, argv + argc}, error)
              << " (see holdfast-execd --help)\n";
    return holdfast::base::guest_exit_status(ErrorCode::kUsage);
  }
  if (given.count("help") != 0) {
    std::cout << "Usage: holdfast-execd [OPTION]...\n" << options;
    return 0;
  }
  if (given.count("version") != 0) {
    std::cout << "holdfast-execd " << HOLDFAST_VERSION << "\n";
    return 0;
  }
  if (auto served = serve(arguments); !served) {
    journal_line(JournalLevel::kError, served.error().one_line());
    return holdfast::base::guest_exit_status(served.error().code());
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& problem) {
    (void)std::fprintf(stderr, "holdfast-execd: %s\n", problem.what());
    return 1;
  }
}
