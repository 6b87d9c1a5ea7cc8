# shellcheck shell=sh
# SPDX-License-Identifier: MIT
#
# Modules of python's own tests, and a program whose output is compared. MODULES: words.

# shellcheck disable=SC2016 # sh expands them
step "python program" sh -c 'python3 program.py "$SEED" >"$OUT/program"'
for module in $MODULES; do
    # A file of its own, or it would change under the next.
    step "python $module" python3 -m test --tempdir /tmp "$module"
done
