# SPDX-License-Identifier: MIT
"""The parts of umbra-stress: tables (catalog), one run (runner), commands (main, prove, nightly)."""
