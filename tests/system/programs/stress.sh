# shellcheck shell=sh
# SPDX-License-Identifier: MIT
#
# stress-ng --verify: a fixed amount of work for each. STRESSORS: lines of options.

echo "$STRESSORS" >stressors
while read -r options; do
    [ -n "$options" ] || continue
    # shellcheck disable=SC2086 # options are words
    step "stress-ng $options" stress-ng --verify --seed "$SEED" --temp-path /tmp --oomable --timeout 600 $options
done <stressors
