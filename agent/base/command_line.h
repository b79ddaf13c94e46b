// SPDX-License-Identifier: MIT
//
// What Boost.Program_options has to say of a command line that it refuses.
//
// Its message names the mistake by placeholders ("%value%"), which what() replaces until there is
// none left: with a word that holds one itself it never returns, and takes memory all the while
// (boost/program_options/src/errors.cpp, 1.74). So it is only asked where no word has a '%'.
//
// Threads: any.
#pragma once

#include <exception>
#include <string>
#include <vector>

namespace holdfast::base {

// One line, printable.
[[nodiscard]] std::string complaint_about(const std::vector<std::string>& words,
                                          const std::exception& problem);

}  // namespace holdfast::base
