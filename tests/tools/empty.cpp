// SPDX-License-Identifier: MIT
//
// empty: does nothing, or waits if it has one argument. What the start of a program costs that is
// linked as the hook is, and what a process costs that has nothing in it.
#include <unistd.h>

int main(int count, char** /*arguments*/) {
  return count == 2 ? ::pause() : 0;
}
