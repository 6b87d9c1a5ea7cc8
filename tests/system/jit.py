#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A just-in-time compiler in the guest: it writes code, runs it, throws it away and writes other code in
its place. Four LuaJIT processes on two CPUs each compute the same with the compiler and with the
interpreter; the results must be equal, and equal in every MMU mode.

    jit.py [MODE...]      default: soft, spt, auto

UMBRA is the emulator to test (default build/release/umbra).
"""

import re
import sys
import tempfile
from pathlib import Path

import boot
import guest

PROGRAM = r"""
local bit = require("bit")
local n = tonumber(arg[1])
local sum = 0
local function add(x) sum = bit.bxor(bit.rol(sum, 5), bit.tobit(x)) end
local function sieve(limit)
    local composite, count = {}, 0
    for i = 2, limit do
        if not composite[i] then
            count = count + 1
            for j = i * i, limit, i do composite[j] = true end
        end
    end
    return count
end
local function orbit(steps)
    local x, y, vx, vy = 1.0, 0.0, 0.0, 1.0
    for _ = 1, steps do
        local r3 = (x * x + y * y) ^ 1.5
        vx, vy = vx - 0.001 * x / r3, vy - 0.001 * y / r3
        x, y = x + 0.001 * vx, y + 0.001 * vy
    end
    return math.floor(x * 1e6) + math.floor(y * 1e6)
end
for round = 1, 12 do
    add(sieve(20000 + round * 100))
    add(orbit(20000))
    -- New functions, hot at once: new machine code where the old was when it is flushed.
    for k = 1, 40 do
        local f = assert(load(string.format(
            "local s = 0 for i = 1, 400 do s = (s * %d + i %% %d) %% 65521 end return s",
            k + 2, k + round + 1)))
        add(f() + f())
    end
    local words = {}
    for i = 1, 2000 do words[i % 97 + 1] = (words[i % 97 + 1] or "") .. string.char(65 + i % 26) end
    for _, word in ipairs(words) do add(#word + word:byte(-1)) end
    if jit.status() then jit.flush() end
    collectgarbage()
end
print(string.format("%08x %d", bit.tobit(sum) % 2 ^ 32, n))
"""

SCRIPT = """#!/bin/sh
echo "UMBRA: user space reached"
cat >/tmp/t.lua <<'LUA'
@PROGRAM@
LUA
luajit -v
for i in 1 2 3 4; do
    luajit -O3 -Ohotloop=3 /tmp/t.lua $i >/tmp/jit.$i 2>&1 &
done
wait
luajit -joff /tmp/t.lua 0 >/tmp/plain 2>&1
for i in 1 2 3 4; do
    echo "JIT: $(cut -d' ' -f1 </tmp/jit.$i) plain: $(cut -d' ' -f1 </tmp/plain)"
done
"""


def run(mode):
    """(list of what is wrong, the result)"""
    with tempfile.TemporaryDirectory(prefix="umbra-jit-") as scratch:
        script = guest.write_script(Path(scratch) / "script", SCRIPT.replace("@PROGRAM@", PROGRAM))
        command = guest.emulator() + guest.machine(2, 512) + ["-nographic", "-no-reboot"] + \
            guest.kernel(guest.script_append(True, "quiet")) + guest.root_drive() + \
            guest.drive("script", script, ",readonly=on") + ["-mmu", mode]
        status, text, _ = boot.run_guest(command, Path(scratch) / "log", 600)
    if "luajit: not found" in text:
        sys.exit("jit.py: no luajit on the root disk: run scripts/guest")
    results = re.findall(r"(?m)^JIT: ([0-9a-f]{8}) plain: ([0-9a-f]{8})", text)
    wrong = [f"exit status {status}"] if status else []
    if len(results) != 4 or len({value for pair in results for value in pair}) != 1:
        wrong.append(f"results {results}: {text[-400:]}")
    wrong += [line for line in text.splitlines() if guest.CRIES.search(line)]
    return wrong, results[0][0] if results else None


def main():
    boot.need_guest([boot.Cell("disk", "armmp-lpae", 1, "spt")])
    failed, seen = 0, set()
    for mode in sys.argv[1:] or ("soft", "spt", "auto"):
        wrong, result = run(mode)
        seen.add(result)
        failed += bool(wrong)
        print(f"{'FAIL' if wrong else 'ok'} {mode}: {result} {'; '.join(wrong)}", flush=True)
    if len(seen) != 1:
        print(f"FAIL: modes differ: {seen}")
    sys.exit(1 if failed or len(seen) != 1 else 0)


if __name__ == "__main__":
    main()
