# SPDX-License-Identifier: MIT
"""Measurements beside their floors, in one run. See tests/bench/run."""
