// SPDX-License-Identifier: MIT
#include "mysql/client_library.h"

#include <gtest/gtest.h>

namespace holdfast::mysql {
namespace {

TEST(ClientLibrary, TellsTheServersErrorsFromThoseThatEndTheSession) {
  for (const unsigned number : {1045U, 1064U, 1205U, 1223U, 1969U, 3024U, 4145U})
    EXPECT_TRUE(is_server_error(number)) << number;
  for (const unsigned number : {0U, 1053U, 1927U, 2002U, 2006U, 2013U, 4031U, 5012U})
    EXPECT_FALSE(is_server_error(number)) << number;
}

TEST(ClientLibrary, GivesUpConnectingWhenStoppedBeforehand) {
  base::Waker waker;
  std::stop_source source;
  source.request_stop();
  ConnectSettings settings;
  settings.socket = "/nonexistent/mysqld.sock";
  settings.user = "holdfast";
  const auto refused =
      connect(settings, base::Deadline::in(base::Millis(1000)), source.get_token(), waker);
  ASSERT_FALSE(refused);
  // Cancelled, or refused at once by the kernel: whichever the library comes to first.
  EXPECT_TRUE(refused.error().code() == base::ErrorCode::kCancelled ||
              refused.error().code() == base::ErrorCode::kUnreachable);
}

}  // namespace
}  // namespace holdfast::mysql
