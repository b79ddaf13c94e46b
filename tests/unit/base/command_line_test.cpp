// SPDX-License-Identifier: MIT
#include "base/command_line.h"

#include <gtest/gtest.h>

#include <boost/program_options/errors.hpp>
#include <boost/program_options/option.hpp>

namespace holdfast::base {
namespace {

namespace po = boost::program_options;

TEST(CommandLine, IsComplainedAboutInTheWordsOfBoost) {
  const po::unknown_option problem("--nosuch");
  EXPECT_EQ(complaint_about({"holdfast", "--nosuch"}, problem), problem.what());
}

TEST(CommandLine, WithAPlaceholderInItEndsWithAComplaintAllTheSame) {
  po::unknown_option problem("%original_token%");
  EXPECT_EQ(complaint_about({"holdfast", "-%original_token%"}, problem),
            "the command line is not understood: an option is not known, or its value is wrong, "
            "perhaps '-%original_token%'");
}

}  // namespace
}  // namespace holdfast::base
