#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Guests on a network, with real peers.

    net.py            all cases
    net.py NAME...    some of them

  user      DHCP, a file by HTTP from the host's loopback and one sent back, both whole; a web server
            in the guest answers through hostfwd
  legacy    the same with virtio-mmio slots of version 1
  address   another private network (net=), without IPv6, and a file by TFTP; -net nic -net user
  ssh       a whole Debian: commands and a file through ssh by hostfwd, a second of iperf3 in each
            direction, and fio, which reads back what it wrote to a disk at random
  apt       apt in that Debian: a source of packages on the host's loopback, two packages of which one needs the
            other; installed, run, removed
  tap       a tap interface with two pairs of queues, in a network namespace of its own: ping, HTTP
            both ways. Left out where namespaces or /dev/net/tun are not allowed.
  tap-fd    the same with a descriptor that was opened before, without the kernel's packet headers

UMBRA is the command to test (default build/release/umbra).
"""

import fcntl
import hashlib
import http.server
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import urllib.request
from functools import partial
from pathlib import Path

from guest import FOLDER, Guest, drive, missing, need, need_kernel, run_cases

LIMIT = 120
DATA = bytes(range(256)) * 16384 + b"and an odd end"

DHCP = """
ip link set lo up
ip link set eth0 up
cat >/tmp/dhcp <<'END'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add $ip/$mask dev eth0
ip route add default via $router
echo "TEST: dhcp $ip $router $dns"
END
chmod 755 /tmp/dhcp
busybox udhcpc -i eth0 -n -q -s /tmp/dhcp
"""

# Fetch, check, send back, serve; then wait until the host is through.
TRAFFIC = """
echo "hello from the guest" >/tmp/hello
wget -q -O /tmp/f http://HOST:PORT/data && echo "TEST: md5 $(md5sum </tmp/f)"
nc HOST SINK </tmp/f && echo "TEST: sent"
httpd -p 80 -h /tmp
echo "TEST: ready"
while ! wget -q -O /dev/null http://HOST:PORT/done; do sleep 0.2; done
cat /sys/class/net/eth0/device/features
"""


class Host:
    """A web server on this side, and a port that takes what the guest sends."""

    def __init__(self, address="127.0.0.1"):
        self.done = threading.Event()
        self.received = hashlib.md5()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """/data is the file; /done is found when the host is through."""

            def do_GET(self):
                body = DATA if self.path == "/data" else b""
                found = self.path == "/data" or owner.done.is_set()
                self.send_response(200 if found else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((address, 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.listener = socket.create_server((address, 0))
        self.sink = self.listener.getsockname()[1]
        threading.Thread(target=self.receive, daemon=True).start()

    def receive(self):
        """One connection, to its end."""
        connection, _ = self.listener.accept()
        with connection:
            while chunk := connection.recv(65536):
                self.received.update(chunk)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.listener.close()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def exchange(scratch, host, address, script, network, guest_url, fds=()):
    """The traffic of cases user, legacy and tap. Returns (problem, text)."""
    script += TRAFFIC.replace("HOST", address).replace("PORT", str(host.port)).replace(
        "SINK", str(host.sink))
    guest = Guest(scratch, script, network, fds=fds)
    served = ""
    if guest.read_until("TEST: ready"):
        try:
            with urllib.request.urlopen(guest_url, timeout=20) as reply:
                served = reply.read().decode()
        except OSError as error:
            served = str(error)
    host.done.set()
    problem = guest.end()
    md5 = hashlib.md5(DATA).hexdigest()
    if not problem and served != "hello from the guest\n":
        problem = f"the guest's web server answers {served!r}"
    if not problem and host.received.hexdigest() != md5:
        problem = "what the guest sent is not what it got"
    return problem or missing(guest.text, f"TEST: md5 {md5}", "TEST: sent"), guest.text


def user(extra):
    with tempfile.TemporaryDirectory(prefix="umbra-net-") as scratch:
        host, port = Host(), free_port()
        network = ["-nic", f"user,hostfwd=tcp:127.0.0.1:{port}-:80"] + extra
        problem, text = exchange(scratch, host, "10.0.2.2", DHCP, network,
                                 f"http://127.0.0.1:{port}/hello")
        host.close()
        return problem or missing(text, "TEST: dhcp 10.0.2.15 10.0.2.2 10.0.2.3")


def check_user():
    return user([])


def check_legacy():
    return user(["-global", "virtio-mmio.force-legacy=true"])


def check_address():
    script = DHCP + """
tftp -g -l /tmp/f -r data 192.168.7.2 && echo "TEST: md5 $(md5sum </tmp/f)"
echo "TEST: $(ip -6 addr show dev eth0 scope global | wc -l) addresses of version 6"
"""
    with tempfile.TemporaryDirectory(prefix="umbra-net-") as scratch:
        (Path(scratch) / "data").write_bytes(DATA)
        guest = Guest(scratch, script, ["-net", "nic,macaddr=52:54:00:00:00:07", "-net",
                                        f"user,net=192.168.7.0/25,dns=192.168.7.9,ipv6=off,tftp={scratch}"])
        return guest.end() or missing(guest.text, "TEST: dhcp 192.168.7.15 192.168.7.2 192.168.7.9",
                                      f"TEST: md5 {hashlib.md5(DATA).hexdigest()}", "TEST: 0 addresses of version 6")


# ---- whole Debians ----
def copy_disk(scratch):
    need(FOLDER / "disk.img")
    disk = Path(scratch) / "disk.img"
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", FOLDER / "disk.img", disk], check=True)
    return disk


def ssh(port, *command, **keywords):
    """Root has no password: the server lets everybody in who reaches it."""
    return subprocess.run(["ssh", "-p", str(port), "-o", "StrictHostKeyChecking=no",
                           "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
                           "-o", "BatchMode=yes", "root@127.0.0.1", *command],
                          capture_output=True, timeout=60, check=False, **keywords)


def iperf(port, *options):
    """What is wrong with a second of traffic, or None. Prints the figure."""
    result = subprocess.run(["iperf3", "-c", "127.0.0.1", "-p", str(port), "-t", "1", "-J", *options],
                            capture_output=True, timeout=30, check=False)
    try:
        rate = json.loads(result.stdout)["end"]["sum_received"]["bits_per_second"]
    except (ValueError, KeyError):
        return f"iperf3 {options}: {result.stdout[-300:]!r} {result.stderr[-300:]!r}"
    print(f"   iperf3 {' '.join(options) or '(to the guest)'}: {rate / 1e6:.0f} Mbit/s", flush=True)
    return None if rate > 1e6 else f"iperf3: {rate} bit/s"


def fio(port, disk):
    """Random writes to a disk of the guest, then a check of every block. What is wrong, or None."""
    result = ssh(port, f"fio --name=v --filename={disk} --rw=randwrite --bsrange=512-64k --size=16M "
                       "--direct=1 --ioengine=libaio --iodepth=16 --verify=crc32c --minimal")
    line = [line.split(";") for line in result.stdout.decode().splitlines() if line.startswith("3;")]
    if result.returncode != 0 or not line or int(line[0][4]) != 0:
        return f"fio: status {result.returncode}: {result.stdout[-300:]!r} {result.stderr[-300:]!r}"
    return None


def check_ssh():
    if not shutil.which("ssh") or not shutil.which("iperf3"):
        return "no ssh or iperf3 on this host: run scripts/setup"
    script = "dropbear -R -B -E\niperf3 -s -D\niperf3 -s -D -p 5202\necho 'TEST: ready'\nwhile [ ! -e /run/done ]; do sleep 0.2; done\n"
    with tempfile.TemporaryDirectory(prefix="umbra-net-") as scratch:
        disk = copy_disk(scratch)
        data = Path(scratch) / "data"
        data.write_bytes(bytes(16 << 20))
        # A server of its own for each direction: it takes a while to put away a test.
        port, to, back = free_port(), free_port(), free_port()
        guest = Guest(scratch, script, ["-netdev", f"user,id=n,hostfwd=tcp:127.0.0.1:{port}-:22,"
                                        f"hostfwd=tcp:127.0.0.1:{to}-:5201,"
                                        f"hostfwd=tcp:127.0.0.1:{back}-:5202",
                                        "-device", "virtio-net-device,netdev=n"] +
                      drive("data", data), disk)
        problem = None
        if guest.read_until("TEST: ready"):
            name = ssh(port, "uname -m; hostname")
            if name.stdout != b"armv7l\numbra\n":
                problem = f"ssh: {name.stdout!r} {name.stderr!r}"
            copy = ssh(port, "md5sum", input=DATA)
            if hashlib.md5(DATA).hexdigest().encode() not in copy.stdout:
                problem = problem or f"a file through ssh: {copy.stdout!r} {copy.stderr!r}"
            # The last device is the first disk.
            problem = problem or iperf(to) or iperf(back, "-R") or fio(port, "/dev/vda")
            if ssh(port, "touch /run/done").returncode != 0:
                guest.process.kill()
        problem = problem or guest.end() or missing(guest.text, "TEST: ready")
        return problem or (None if any(data.read_bytes()) else "fio wrote to another disk")


# ---- apt ----
APT = """
[ -x /usr/bin/apt-get ] || echo 'TEST: this disk has no apt: run scripts/guest'
echo 'deb [trusted=yes] http://10.0.2.2:PORT ./' >/etc/apt/sources.list
apt-get -q update && apt-get -q -y install umbra-greeting && umbra-greeting
echo "TEST: audit $(dpkg --audit | wc -c)"
apt-get -q -y remove umbra-words && [ ! -e /usr/bin/umbra-greeting ] && echo 'TEST: removed'
"""


def build_package(folder, name, files, depends=""):
    """A package with these files, {path: contents}, and its entry for the list of packages."""
    root = folder / f"{name}.root"
    for path, contents in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(contents)
        (root / path).chmod(0o755)
    control = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\n" + \
        f"Depends: {depends}\n" * bool(depends) + "Description: of a test\n"
    (root / "DEBIAN").mkdir()
    (root / "DEBIAN/control").write_text(control, encoding="ascii")
    deb = folder / f"{name}.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", root, deb], check=True, capture_output=True)
    shutil.rmtree(root)
    data = deb.read_bytes()
    return f"{control}Filename: ./{deb.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n\n"


class Packages(http.server.SimpleHTTPRequestHandler):
    """Serves the folder without a word."""

    def log_message(self, *_):
        pass


def check_apt():
    with tempfile.TemporaryDirectory(prefix="umbra-net-") as scratch:
        folder = Path(scratch) / "packages"
        folder.mkdir()
        entries = build_package(folder, "umbra-words", {"usr/share/umbra/words": DATA}) + \
            build_package(folder, "umbra-greeting", {
                "usr/bin/umbra-greeting": b"#!/bin/sh\necho TEST: words $(md5sum </usr/share/umbra/words)\n"}, "umbra-words")
        (folder / "Packages").write_text(entries, encoding="ascii")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Packages, directory=folder))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        disk = copy_disk(scratch)
        guest = Guest(scratch, APT.replace("PORT", str(server.server_address[1])), ["-nic", "user"], disk, limit=300)
        problem = guest.end() or missing(guest.text, f"TEST: words {hashlib.md5(DATA).hexdigest()}", "TEST: audit 0",
                                         "TEST: removed")
        server.shutdown()
        server.server_close()
        return problem


# ---- tap ----
def in_namespace(case):
    """Run a case again in a network namespace where we may do anything."""
    probe = subprocess.run(["unshare", "-rn", "sh", "-c",
                            "exec 3<>/dev/net/tun && ip link set lo up"], capture_output=True,
                           check=False)
    if probe.returncode != 0:
        print(f"   left out: {probe.stderr.decode().strip()}")
        return None
    inside = subprocess.run(["unshare", "-rn", sys.executable, __file__, "--inside", case],
                            capture_output=True, text=True, timeout=2 * LIMIT, check=False)
    return None if inside.returncode == 0 else inside.stdout + inside.stderr


def open_tap(name):
    """A tap interface without multiple queues and packet headers."""
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x1002))  # TUNSETIFF
    return fd


def tap_inside(case):
    """In the namespace: 10.9.0.1 is this side, 10.9.0.2 the guest."""
    def ip(words):
        subprocess.run(["ip"] + words.split(), check=True)

    ip("link set lo up")
    if case == "tap":
        ip("tuntap add umbra0 mode tap multi_queue")
        fds, network, queues = (), "tap,ifname=umbra0,queues=2,script=no", 2
    else:
        fds = (open_tap("umbra0"),)
        network, queues = f"tap,fd={fds[0]}", 1
    ip("addr add 10.9.0.1/24 dev umbra0")
    ip("link set umbra0 up")
    script = """
ip link set eth0 up
ip addr add 10.9.0.2/24 dev eth0
ping -c 3 -i 0.2 10.9.0.1 && echo 'TEST: ping'
echo "TEST: queues $(ls -d /sys/class/net/eth0/queues/tx-* | wc -l)"
"""
    with tempfile.TemporaryDirectory(prefix="umbra-net-") as scratch:
        host = Host("10.9.0.1")
        problem, text = exchange(scratch, host, "10.9.0.1", script,
                                 ["-nic", network], "http://10.9.0.2/hello", fds)
        host.close()
    return problem or missing(text, "TEST: ping", f"TEST: queues {queues}")


CASES = {"user": check_user, "legacy": check_legacy, "address": check_address,
         "ssh": check_ssh, "apt": check_apt,
         "tap": lambda: in_namespace("tap"), "tap-fd": lambda: in_namespace("tap-fd")}


def main():
    if sys.argv[1:2] == ["--inside"]:
        sys.exit(tap_inside(sys.argv[2]))
    need_kernel()
    run_cases(CASES)


if __name__ == "__main__":
    main()
