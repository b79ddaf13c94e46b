// SPDX-License-Identifier: MIT
//
// empty: does nothing. What the start of a program costs that is linked as the hook is.
int main() {
  return 0;
}
