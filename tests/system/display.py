#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A screen, keys, pointer and touches with a Debian guest.

    display.py            all cases
    display.py NAME...    some of them

  framebuffer  the kernel's console on a simple-framebuffer: known text is on a screendump and in
               a VNC viewer, both the same; the guest's memory ends below it
  gpu          the same on virtio-gpu, and another resolution that the viewer asks for
  input        keys, clicks, wheel and two fingers, by VNC and by the control socket, as the guest's
               /dev/input reports them; a viewer that goes releases its keys; a shell is typed into
  web          the page needs its token, so do its requests and the WebSocket, which speaks RFB
  idle         without a viewer the display's thread does nothing; with one, an idle screen costs little

UMBRA is the command to test (default build/release/umbra).
"""

import base64
import http.client
import re
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import guest
import qmp
import rfb

GUEST = guest.FOLDER / guest.FLAVOUR
LIMIT = 300
MODULES = ("virtio_input", "evdev", "virtio-gpu")
LOAD = """
while read -r module; do insmod "/lib/modules/display/$module" || echo "cannot load $module"; done </lib/modules/display/order
"""
# From here on the kernel says nothing on the screen, and no cursor blinks there.
QUIET = """
echo 1 >/proc/sys/kernel/printk
printf '\\033[2J\\033[H\\033[?25l' >/dev/tty0
"""


def module_files():
    """The modules and what they need, in order of loading."""
    tree = GUEST / "modules"
    needs = {}
    for line in (tree / "modules.dep").read_text().splitlines():
        name, _, rest = line.partition(":")
        needs[Path(name).stem] = [name] + rest.split()
    order = []
    for module in MODULES:
        for path in reversed(needs[module]):
            if path not in order:
                order.append(path)
    return [tree / path for path in order]


def cpio_entry(number, name, mode, data=b""):
    head = b"070701" + b"".join(b"%08X" % field for field in (
        number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0))
    head += name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def make_initrd(path):
    """The guest's initramfs with our modules behind it."""
    files = module_files()
    order = "".join(f"{file.name}\n" for file in files).encode()
    archive = cpio_entry(1, "lib/modules/display", 0o40755)
    archive += cpio_entry(2, "lib/modules/display/order", 0o100644, order)
    for number, file in enumerate(files, 3):
        archive += cpio_entry(number, f"lib/modules/display/{file.name}", 0o100644,
                              file.read_bytes())
    archive += cpio_entry(0, "TRAILER!!!", 0)
    base = (GUEST / "initrd.img").read_bytes()
    path.write_bytes(base + b"\0" * (-len(base) % 512) + archive)


class Guest(guest.Guest):
    """One with a control socket and our modules in its initramfs."""

    def __init__(self, scratch, script, options, append=""):
        self.scratch = Path(scratch)
        make_initrd(self.scratch / "initrd")
        # The last console is the kernel's own.
        super().__init__(scratch, script,
                         ["-qmp", f"unix:{self.scratch / 'qmp'},server=on,wait=off"] + options,
                         append=append, initrd=self.scratch / "initrd", consoles="tty0 ttyAMA0",
                         limit=LIMIT, stdin=subprocess.PIPE)
        self.control = qmp.Client(str(self.scratch / "qmp"))

    def read_until(self, marker):
        """The line with the marker; raises when none comes."""
        line = super().read_until(marker)
        if line is None:
            raise EOFError(f"no '{marker}': {self.text[-1500:]}")
        return line

    def send(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def dump(self):
        path = self.scratch / "screen.png"
        self.control.execute("screendump", filename=str(path))
        return rfb.png_rows(path)

    def quit(self):
        """Ends it; what is wrong, or None."""
        self.control.execute("quit")
        status = self.process.wait(timeout=30)
        self.timer.cancel()
        return guest.cry(self.text) or (f"status {status}" if status else None)


def free_display():
    """N of a free port 5900 + N."""
    for n in range(100, 1000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", 5900 + n)) != 0:
                return n
    raise OSError("no port is free")


def lit(rows):
    return sum(pixel != 0 for row in rows for pixel in row)


def size(rows):
    return len(rows[0]), len(rows)


def with_guest(script, options, judge, append=""):
    """Runs a case; what is wrong, or None."""
    with tempfile.TemporaryDirectory(prefix="umbra-display-") as scratch:
        guest = Guest(scratch, script, options, append)
        try:
            return judge(guest) or guest.quit()
        finally:
            guest.kill()


# ---- pictures ----
# A first line of text that is all background, in reverse; then a word in the sixth.
PAINT = """
read -r _
printf '\\033[7m%80s\\033[m' '' >/dev/tty0
echo 'TEST: painted'
read -r _
printf '\\033[6;1HHELLO' >/dev/tty0
echo 'TEST: hello'
read -r _
"""


def same_picture(guest, viewer):
    return guest.dump() == viewer.rows()


def first_line(rows):
    """Its one colour, if it has one and nothing else is lit."""
    colours = {pixel for row in rows[:16] for pixel in row}
    return colours.pop() if len(colours) == 1 and lit(rows[16:]) == 0 else None


def judge_picture(guest, viewer):
    """The screen is dark; then its first line is light; then there is a word, and only there."""
    black = lambda: lit(guest.dump()) == 0  # noqa: E731
    if not rfb.wait_until(black):
        return f"the cleared screen has {lit(guest.dump())} lit pixels"
    rows = guest.dump()
    if size(rows) != (640, 480):
        return f"screen of {size(rows)}"
    guest.send("\n")
    guest.read_until("TEST: painted")
    if not rfb.wait_until(lambda: first_line(guest.dump())):
        return f"the first line is not light: {lit(guest.dump())} lit pixels"
    if not rfb.wait_until(lambda: same_picture(guest, viewer)):
        return "the viewer's picture is another"
    guest.send("\n")
    guest.read_until("TEST: hello")
    if not rfb.wait_until(lambda: lit(guest.dump()[16:]) > 0):
        return "no text"
    rows = guest.dump()
    cells = {(x // 8, y // 16) for y, row in enumerate(rows) if y >= 16
             for x, pixel in enumerate(row) if pixel}
    if cells != {(x, 5) for x in range(5)}:
        return f"text in cells {sorted(cells)}"
    return None if rfb.wait_until(lambda: same_picture(guest, viewer)) else "the viewer is behind"


def check_framebuffer():
    def judge(guest):
        guest.read_until("TEST: ready")
        viewer = rfb.Viewer(5900 + number)
        problem = judge_picture(guest, viewer)
        viewer.close()
        memory = re.search(r"TEST: top (\S+)", guest.text)
        # 256 MiB from 0x40000000, the last 2 MiB are the screen's.
        if not problem and memory[1] != "4fdfffff":
            problem = f"System RAM ends at {memory[1]}"
        return problem

    number = free_display()
    script = QUIET + """
echo "TEST: top $(sed -n 's/^[0-9a-f]*-\\([0-9a-f]*\\) : System RAM/\\1/p' /proc/iomem | tail -n 1)"
echo 'TEST: ready'
""" + PAINT
    return with_guest(script, ["-device", "simple-framebuffer,width=640,height=480,format=r5g6b5",
                               "-display", f"vnc=:{number}"], judge)


def check_gpu():
    def judge(guest):
        guest.read_until("TEST: ready")
        viewer = rfb.Viewer(5900 + number)
        problem = judge_picture(guest, viewer)
        if problem:
            return problem
        viewer.want_size(512, 384)
        guest.send("\n")
        mode = guest.read_until("TEST: mode")
        viewer.close()
        return None if "512x384" in mode else f"the guest is offered {mode}"

    number = free_display()
    script = LOAD + QUIET + "echo 'TEST: ready'\n" + PAINT + """
read -r mode </sys/class/drm/card0-Virtual-1/modes
tries=50
while [ "$mode" != 512x384 ] && [ $tries -gt 0 ]; do
    sleep 0.2
    tries=$((tries - 1))
    read -r mode </sys/class/drm/card0-Virtual-1/modes
done
echo "TEST: mode $mode"
"""
    return with_guest(script, ["-device", "virtio-gpu-device,xres=640,yres=480",
                               "-display", f"vnc=:{number}"], judge)


# ---- input ----
# Readers of events: two words of time, then type, code, and the value as two halves.
READERS = """
read_events() {
    echo "TEST: reads $1"
    while set -- "$1" $(dd bs=16 count=1 2>/dev/null | hexdump -v -e '8/2 "%u "'); do
        echo "TEST: $1 $6 $7 $8 $9"
    done
}
for dir in /sys/class/input/event*; do
    read -r name <$dir/device/name
    case $name in
        *keyboard) what=key ;;
        *tablet) what=tablet ;;
        *touch*) what=touch ;;
        *) continue ;;
    esac
    read_events $what </dev/input/${dir##*/} &
done
"""
EV_SYN, EV_KEY, EV_REL, EV_ABS = range(4)
NONE = 0xffffffff


def expect_events(guest, what, *wanted):
    """The next events of a device are these; what is wrong, or None."""
    for event in wanted:
        while True:
            words = guest.read_until(f"TEST: {what} ").split()
            kind, code, low, high = (int(word) for word in words[2:6])
            got = (kind, code, low | high << 16)
            # The kernel repeats a key that is held.
            if not (got[0] == EV_KEY and got[2] == 2):
                break
            guest.read_until(f"TEST: {what} 0 ")
        if got != event:
            return f"{what}: {got} instead of {event}"
    return None


def key(code, down):
    return (EV_KEY, code, down), (EV_SYN, 0, 0)


def judge_keys(guest, viewer):
    viewer.type("a")
    problem = expect_events(guest, "key", *key(30, 1), *key(30, 0))
    if problem:
        return problem
    viewer.type("!")  # without the shift key: it is pressed for it
    problem = expect_events(guest, "key", *key(42, 1), *key(2, 1), *key(42, 0), *key(2, 0))
    if problem:
        return problem
    guest.control.execute("send-key", keys=[{"type": "qcode", "data": "ctrl"},
                                            {"type": "qcode", "data": "c"}], hold_time=20)
    problem = expect_events(guest, "key", *key(29, 1), *key(46, 1), *key(46, 0), *key(29, 0))
    if problem:
        return problem
    said = guest.control.human("sendkey volumeup 10")
    return said.strip() or expect_events(guest, "key", *key(115, 1), *key(115, 0))


def judge_pointer(guest, viewer):
    viewer.pointer(viewer.width - 1, 0, 1)
    problem = expect_events(guest, "tablet", (EV_ABS, 0, 32767), (EV_KEY, 0x110, 1), (EV_SYN, 0, 0))
    if problem:
        return problem
    viewer.pointer(0, viewer.height - 1, 0)
    problem = expect_events(guest, "tablet", (EV_ABS, 0, 0), (EV_ABS, 1, 32767),
                            (EV_KEY, 0x110, 0), (EV_SYN, 0, 0))
    if problem:
        return problem
    viewer.pointer(0, viewer.height - 1, 8)
    problem = expect_events(guest, "tablet", (EV_REL, 8, 1), (EV_SYN, 0, 0))
    if problem:
        return problem
    viewer.pointer(0, viewer.height - 1, 0)
    guest.control.execute("input-send-event", events=[
        {"type": "abs", "data": {"axis": "x", "value": 1000}},
        {"type": "btn", "data": {"button": "right", "down": True}}])
    return expect_events(guest, "tablet", (EV_ABS, 0, 1000), (EV_KEY, 0x111, 1), (EV_SYN, 0, 0))


def finger(kind, slot, x=None, y=None):
    where = [{"type": "mtt", "data": {"type": "data", "slot": slot, "axis": axis, "value": value}}
             for axis, value in (("x", x), ("y", y)) if value is not None]
    return where + [{"type": "mtt", "data": {"type": kind, "slot": slot}}]


def judge_touches(guest):
    guest.control.execute("input-send-event",
                          events=finger("begin", 0, 100, 200) + finger("begin", 1, 300, 400))
    # Slot 0 is the one that is selected from the start: the kernel does not repeat that.
    problem = expect_events(guest, "touch", (EV_ABS, 57, 0), (EV_ABS, 53, 100), (EV_ABS, 54, 200),
                            (EV_ABS, 0, 100), (EV_ABS, 1, 200), (EV_KEY, 0x14a, 1), (EV_SYN, 0, 0),
                            (EV_ABS, 47, 1), (EV_ABS, 57, 1), (EV_ABS, 53, 300), (EV_ABS, 54, 400),
                            (EV_SYN, 0, 0))
    if problem:
        return problem
    guest.control.execute("input-send-event", events=finger("end", 0) + finger("end", 1))
    return expect_events(guest, "touch", (EV_ABS, 47, 0), (EV_ABS, 57, NONE), (EV_SYN, 0, 0),
                         (EV_ABS, 47, 1), (EV_ABS, 57, NONE), (EV_KEY, 0x14a, 0), (EV_SYN, 0, 0))


def judge_refusals(guest):
    for command, arguments in (
            ("send-key", {"keys": [{"type": "qcode", "data": "nonsense"}]}),
            ("send-key", {"keys": []}),
            ("input-send-event", {"events": [{"type": "abs", "data": {"axis": "x", "value": -1}}]}),
            ("input-send-event", {"events": [{"type": "mtt", "data": {"type": "begin", "slot": 10}}]}),
            ("screendump", {"filename": "/nonexistent/x.png"}),
            ("screendump", {"filename": "/dev/full"})):
        try:
            guest.control.execute(command, **arguments)
            return f"{command} {arguments} is accepted"
        except qmp.Error:
            pass
    return None if "error" in guest.control.human("sendkey ctrl-") else "sendkey ctrl- is accepted"


def check_input():
    def judge(guest):
        for _ in range(3):
            guest.read_until("TEST: reads")
        viewer = rfb.Viewer(5900 + number)
        problem = (judge_keys(guest, viewer) or judge_pointer(guest, viewer) or
                   judge_touches(guest) or judge_refusals(guest))
        if problem:
            return problem
        viewer.key(ord("x"), True)
        problem = expect_events(guest, "key", *key(45, 1))
        viewer.close()
        return problem or expect_events(guest, "key", *key(45, 0))

    number = free_display()
    script = LOAD + READERS + "read -r _\n"
    return with_guest(script, ["-device", "simple-framebuffer,width=640,height=480",
                               "-device", "virtio-keyboard-device", "-device", "virtio-tablet-device",
                               "-device", "virtio-multitouch-device",
                               "-display", f"vnc=127.0.0.1:{number}"], judge)


# ---- browsers ----
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.getheader("Location") or answer.getheader("Content-Type"), body


def websocket(port, path):
    """The first bytes that the server sends through a WebSocket; empty: it is refused."""
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        word = base64.b64encode(b"0123456789abcdef").decode()
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
                           f"Connection: Upgrade\r\nSec-WebSocket-Key: {word}\r\n"
                           f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: binary\r\n"
                           f"Origin: http://127.0.0.1:{port}\r\n\r\n".encode())
        data = b""
        try:
            while b"RFB" not in data and (more := connection.recv(4096)):
                data += more
            # Answer the version: only who is allowed hears more.
            reply = bytes(a ^ b for a, b in zip(b"RFB 003.008\n", b"\1\2\3\4" * 3))
            connection.sendall(b"\x82\x8c\1\2\3\4" + reply)
            more = connection.recv(4096)
        except OSError:
            more = b""
        return data + more if more else b""


def post(port, path, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", path, body)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, answer.getheader("X-Taken")


def check_api(port, token):
    """Console, counters and so on want the token; a guest that does not run takes what there is room for."""
    for path in ("stats", "serial", "serial?token=" + "0" * 32, "stats?token="):
        if get(port, f"/api/{path}")[0] != 403 or post(port, f"/api/{path}", b"x")[0] != 403:
            return f"/api/{path} without the token"
    status, _, body = get(port, f"/api/stats?token={token}")
    if status != 200 or b'umbra_thread_seconds_total{thread="io"}' not in body or b"spt_fills" not in body:
        return f"counters: {status} {body[:200]}"
    for start in ("0", "99999999999", "-1", "x"):
        status, _, body = get(port, f"/api/serial?token={token}&from={start}")
        if status != 200 or body:
            return f"output from {start}: {status} {body[:200]}"
    taken = [post(port, f"/api/serial?token={token}", size * b"x") for size in (4097, 3000, 3000)]
    # The UART's FIFO may have had some of it: 32 bytes.
    if taken[0][0] != 413 or taken[1] != (200, "3000") or not 1096 <= int(taken[2][1]) <= 1128:
        return f"typed: {taken}"
    if post(port, f"/api/rotate?token={token}", b"")[0] != 409 or get(port, f"/api/nothing?token={token}")[0] != 404:
        return "other requests"
    return None


def check_web():
    def judge(guest):
        token = re.search(r"\?token=(\w+)", guest.read_until("?token="))[1]
        if get(port, "/")[0] != 403 or get(port, "/?token=" + "0" * 32)[0] != 403:
            return "the page opens without its token"
        status, kind, body = get(port, f"/?token={token}")
        if status != 200 or "html" not in kind or b"/umbra.js" not in body:
            return f"with the token: {status} {kind}"
        problem = check_api(port, token)
        if problem:
            return problem
        status, kind, body = get(port, "/vnc.html")
        if status != 200 or "html" not in kind or b"noVNC" not in body:
            return f"the page: {status} {kind}"
        if get(port, "/core/rfb.js")[:2] != (200, "text/javascript"):
            return "no script"
        for path in ("/../../../etc/passwd", "/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/app", "/nothing"):
            if get(port, path)[0] != 404:
                return f"{path} is answered"
        if b"RFB 003" not in websocket(port, f"/websockify?token={token}"):
            return "no RFB through the WebSocket"
        for path in ("/websockify", "/websockify?token=" + "0" * 32, "/websockify?token="):
            if websocket(port, path):
                return f"{path} is let in"
        return None if not websocket(5900 + number, "/websockify") else "a WebSocket at VNC's port"

    port, number = free_port(), free_display()
    return with_guest("", ["-S", "-display", f"web={port}", "-display", f"vnc=:{number}"], judge)


# ---- costs ----
def thread_time(process, name):
    """Seconds that the threads of this name have run."""
    total = 0
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def check_idle():
    def judge(guest):
        guest.read_until("TEST: ready")
        before = thread_time(guest.process, "display")
        time.sleep(3)
        alone = thread_time(guest.process, "display") - before
        viewer = rfb.Viewer(5900 + number)
        viewer.update(incremental=False)
        time.sleep(2)
        before = thread_time(guest.process, "display")
        time.sleep(5)
        looked = (thread_time(guest.process, "display") - before) / 5
        viewer.close()
        print(f"   display thread: {alone * 1000:.1f} ms in 3 s alone, {looked * 100:.2f} % with a "
              "viewer of an idle screen of 1280 x 720", flush=True)
        if alone > 0.005:
            return f"{alone} s without a viewer"
        return f"{looked * 100} % with a viewer" if looked > 0.05 else None

    number = free_display()
    return with_guest(QUIET + "echo 'TEST: ready'\nread -r _\n",
                      ["-device", "simple-framebuffer,width=1280,height=720",
                       "-display", f"vnc=:{number}"], judge)


CASES = {"framebuffer": check_framebuffer, "gpu": check_gpu, "input": check_input,
         "web": check_web, "idle": check_idle}


def main():
    guest.need_kernel()
    guest.run_cases(CASES, EOFError, OSError, ValueError, struct.error, qmp.Error)


if __name__ == "__main__":
    main()
