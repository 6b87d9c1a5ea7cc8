# SPDX-License-Identifier: MIT
"""The parts of bench/evaluate: what runs (programs), how (machine), what came of it (results, report)."""
