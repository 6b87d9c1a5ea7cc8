#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The page for browsers in headless Chromium, with a Debian guest: real clicks, touches and keys.

    web_page.py [--shots FOLDER]

The picture is the guest's, a click and a touch on it arrive at the guest's touch screen where they were made, keys
and the phone's buttons at its keyboard (a button held long is a key held long); the terminal shows the serial
console and types there; the charts move; Rotate changes the guest's resolution. --shots keeps pictures of the page.

Needs Debian's chromium and chromium-driver (and novnc, node-xterm); without them the exit status is 77: skipped."""

import argparse
import os
import re
import sys
import time
from pathlib import Path

import display
import rfb
import webdriver

SKIPPED = 77
BUTTONS = {"Back": 158, "Home": 172, "Recents": 580, "Power": 116, "Vol −": 114, "Vol +": 115}
# Debian's console keeps the buffer that it begins with: 640 x 640, so that 640 x 480 can be turned.
CANVAS = "document.querySelector('#screen canvas')"
LIT = f"""(() => {{
    const c = {CANVAS};
    const data = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
    let n = 0;
    for (let i = 0; i < data.length; i += 4) n += data[i] + data[i + 1] + data[i + 2] > 0;
    return n;
}})()"""
SCRIPT = display.LOAD + display.QUIET + display.READERS + """
printf '\\033[7m%80s\\033[m' '' >/dev/tty0
printf '\\033[6;3HUmbra in a browser' >/dev/tty0
echo 'TEST: ready'
while read -r line; do
    eval "$line"
done
"""


def check_picture(browser):
    """The first line is light, and there is a text below it."""
    if browser.wait(f"{CANVAS} && document.getElementById('state').textContent == 'connected'") is not True:
        return "no connection: " + browser.run("return document.getElementById('state').textContent")
    wanted = 640 * 16
    if not browser.wait(f"{LIT} > {wanted} && {LIT} < 2 * {wanted}"):
        return f"{browser.run('return ' + LIT)} lit pixels"
    return None


def place(browser, x, y):
    """Where a point of the guest's screen (parts of one) is in the window."""
    box = browser.run(f"const r = {CANVAS}.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]")
    return round(box[0] + x * box[2]), round(box[1] + y * box[3])


def finger(guest, x, y):
    """The next touch begins and ends at about this place; what is wrong, or None."""
    seen = {}
    while True:
        words = guest.read_until("TEST: touch ").split()
        kind, code, low, high = map(int, words[2:6])
        value = low | high << 16
        if kind == display.EV_ABS:
            seen.setdefault(code, value)
        if (kind, code, value) == (display.EV_KEY, 0x14a, 0):
            break
    for axis, (code, part) in {"x": (0x35, x), "y": (0x36, y)}.items():
        if abs(seen.get(code, -1) / 32767 - part) > 0.01:
            return f"a touch at {x}, {y}: {axis} is {seen.get(code, -1) / 32767:.3f}"
    return None


def check_touches(browser, guest):
    for kind, x, y in (("mouse", 0.25, 0.75), ("touch", 0.9, 0.1)):
        browser.pointer(*place(browser, x, y), kind, 120)
        problem = finger(guest, x, y)
        if problem:
            return f"{kind}: {problem}"
    return None


def check_keys(browser, guest):
    browser.type("a")
    problem = display.expect_events(guest, "key", *display.key(30, 1), *display.key(30, 0))
    for title, code in BUTTONS.items():
        if problem:
            return problem
        selector = next(f"nav button:nth-child({n})" for n in range(1, 9) if
                        title in browser.run(f"return document.querySelector('nav button:nth-child({n})').textContent"))
        browser.click(selector)
        problem = display.expect_events(guest, "key", *display.key(code, 1), *display.key(code, 0))
        problem = problem and f"button {title}: {problem}"
    return problem or check_long_press(browser, guest)


def check_long_press(browser, guest):
    box = browser.run("const r = document.querySelector('nav button').getBoundingClientRect();"
                      "return [r.left + r.width / 2, r.top + r.height / 2]")
    before = time.monotonic()
    browser.pointer(round(box[0]), round(box[1]), "mouse", 1200)
    problem = display.expect_events(guest, "key", *display.key(158, 1), *display.key(158, 0))
    if not problem and time.monotonic() - before < 1.2:
        problem = "a long press is short"
    return problem


def check_console(browser, guest):
    if not browser.wait("document.querySelector('.xterm') !== null"):
        return "no terminal: " + browser.run("return document.getElementById('console').textContent")
    rows = ("(() => { const b = window.umbraConsole.terminal.buffer || window.umbraConsole.terminal._core.buffer;"
            "let t = ''; for (let i = 0; i < b.lines.length; i++) t += b.translateBufferLineToString(i, true) + '\\n';"
            "return t; })()")
    if not browser.wait(f"{rows}.includes('TEST: ready')"):
        return f"the terminal shows {browser.run('return ' + rows)[-300:]!r}"
    browser.click("#console")
    browser.type("echo TEST: typed $((6*7))\n")
    guest.read_until("TEST: typed 42")
    if not browser.wait(f"{rows}.includes('TEST: typed 42')"):
        return "the answer is not in the terminal"
    return None


def check_charts(browser):
    names = "document.getElementById('load-legend').textContent"
    if browser.wait(f"{names}.includes('vcpu1') && {names}") != "vcpu0vcpu1":
        return "CPUs in the legend: " + browser.run("return " + names)
    # One CPU of the guest works: the chart says so.
    total = "Number(document.getElementById('load').dataset.total || 0)"
    before = browser.run("return " + total)
    browser.click("#console")
    browser.type("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo TEST: worked\n")
    if not browser.wait(f"{total} > {before} + 40", 120):
        return f"per cent of a CPU that works, summed up: {before}, later {browser.run('return ' + total)}"
    if not browser.wait("(document.getElementById('spt').dataset.last || '').split(' ').length == 4"):
        return "no chart of the SPT"
    return None


def check_rotate(browser, guest):
    guest.read_until("TEST: worked")
    browser.click("#rotate")
    browser.click("#console")
    browser.type("for n in 1 2 3 4 5 6 7 8 9; do sleep 1; read -r mode </sys/class/drm/card0-Virtual-1/modes; "
                 "[ $mode = 480x640 ] && break; done; echo TEST: mode $mode\n")
    while "$mode" in (mode := guest.read_until("TEST: mode")):
        pass                           # the echo of what was typed
    return None if "480x640" in mode else f"after Rotate: {mode.strip()}"


def judge(guest, browser, port, number, shots):
    token = re.search(r"\?token=(\w+)", guest.read_until("?token="))[1]
    guest.read_until("TEST: ready")
    viewer = rfb.Viewer(5900 + number)
    viewer.want_size(640, 480)
    viewer.close()
    browser.open(f"http://127.0.0.1:{port}/?token={token}")
    try:
        problem = judge_page(guest, browser)
    finally:
        if shots:
            browser.screenshot(Path(shots) / "page.png")
    problem = problem or check_rotate(browser, guest)
    if shots:
        browser.screenshot(Path(shots) / "page-rotated.png")
    return problem


def judge_page(guest, browser):
    return check_picture(browser) or check_touches(browser, guest) or check_keys(browser, guest) or \
        check_console(browser, guest) or check_charts(browser)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shots", metavar="FOLDER")
    arguments = parser.parse_args()
    missing = webdriver.missing() + [path for path in ("/usr/share/novnc/core/rfb.js",
                                                       "/usr/share/nodejs/xterm/lib/public/Terminal.js")
                                     if not os.path.exists(path)]
    if missing:
        print(f"skipped: not installed: {', '.join(missing)} (chromium chromium-driver novnc node-xterm)")
        return SKIPPED
    port, number = webdriver.free_port(), display.free_display()
    with webdriver.Browser() as browser:
        problem = display.with_guest(SCRIPT, [
            "-device", "virtio-gpu-device,xres=640,yres=640", "-device", "virtio-keyboard-device",
            "-device", "virtio-multitouch-device", "-display", f"web={port}", "-display", f"vnc=:{number}"],
            lambda guest: judge(guest, browser, port, number, arguments.shots))
    print(f"not ok - {problem}" if problem else "PASS")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
