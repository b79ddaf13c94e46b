// SPDX-License-Identifier: MIT
//
// sessions [MYSQL_SOCKET POSTGRESQL_DIRECTORY]: what the client libraries cost in memory with
// nothing around them. Loads them, opens a session of each if it is told where, says "ready" and
// waits.
#include <libpq-fe.h>
#include <mysql.h>
#include <unistd.h>

#include <cstdio>
#include <string>

namespace {

int fail(const char* problem) {
  (void)std::fprintf(stderr, "sessions: %s\n", problem);
  return 1;
}

}  // namespace

int main(int count, char** arguments) {
  if (count == 3) {
    MYSQL* mysql = mysql_init(nullptr);
    if (mysql_real_connect(mysql, nullptr, "root", nullptr, nullptr, 0, arguments[1], 0) ==
        nullptr) {
      return fail(mysql_error(mysql));
    }
    const std::string where = "dbname=postgres user=root host=" + std::string(arguments[2]);
    const PGconn* postgresql = PQconnectdb(where.c_str());
    if (PQstatus(postgresql) != CONNECTION_OK) return fail(PQerrorMessage(postgresql));
  }
  (void)std::puts("ready");
  (void)std::fflush(stdout);
  return ::pause();
}
