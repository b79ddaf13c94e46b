# SPDX-License-Identifier: MIT
"""What the tests share: real servers, real guests, and processes that are always ended."""
