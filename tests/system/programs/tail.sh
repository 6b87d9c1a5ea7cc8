# shellcheck shell=sh disable=SC2154
# SPDX-License-Identifier: MIT
#
# Ends it: what is in OUT goes to the disk that the host reads.

[ -z "${results:-}" ] || tar -cf "$results" -C "$OUT" .
echo "UMBRA: steps done"
