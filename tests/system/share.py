#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Shared folders, with Debian's own 9P client.

    share.py            all cases
    share.py NAME...    some of them

  none      files, folders, links, times, big transfers and many files, both ways
  mapped    owners, modes, devices and links of the guest's own, ordinary files on the host
  escape    symbolic links that lead out, a host that swaps folders for links and moves them away
            while the guest works: nothing outside is read or changed
  readonly  a guest that may only read
  reset     the guest resets in the middle; the next boot mounts again
"""

import os
import socket
import stat
import tempfile
import threading
import time
from pathlib import Path

import net
from guest import Guest, missing, need_kernel, run_cases

MOUNT = """
mkdir -p /m
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 tag /m && echo 'TEST: mounted'
"""


def run(scratch, script, share, model, extra="", marker=None, action=None):
    """(problem, text) of a guest that has `share` mounted at /m."""
    options = ["-virtfs", f"local,path={share},mount_tag=tag,security_model={model}{extra}"]
    guest = Guest(scratch, MOUNT + script, options)
    if marker and guest.read_until(marker):
        action()
    problem = guest.end()
    if not problem:
        problem = missing(guest.text, "TEST: mounted")
    return problem, guest.text


def expect(text, *markers):
    return missing(text, *markers)


def folders():
    """Scratch, the share in it, and a folder beside the share."""
    scratch = tempfile.TemporaryDirectory(prefix="umbra-share-")
    share, outside = Path(scratch.name) / "share", Path(scratch.name) / "outside"
    share.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("SECRET\n")
    return scratch, share, outside


def check_none():
    scratch, share, _ = folders()
    with scratch:
        (share / "data").write_bytes(net.DATA)
        (share / "sub").mkdir()
        for i in range(500):
            (share / "sub" / f"file-{i}").write_text(f"{i}\n")
        script = """
md5sum /m/data
cp /m/data /m/copy && dd if=/dev/zero of=/m/zero bs=1M count=8 && sync
echo "TEST: files $(ls /m/sub | wc -l) $(cat /m/sub/* | md5sum)"
mkdir -p /m/a/b/c && echo one >/m/a/b/c/f && mv /m/a/b /m/a/d && cat /m/a/d/c/f
ln -s d/c/f /m/a/link && echo "TEST: link $(cat /m/a/link) $(readlink /m/a/link)"
ln /m/a/d/c/f /m/hard && echo two >>/m/hard && echo "TEST: hard $(cat /m/a/d/c/f | tr '\\n' ' ')"
exec 3>/m/gone; rm /m/gone; echo late >&3 && echo 'TEST: unlinked'; exec 3>&-
touch -d '2001-02-03 04:05:06' /m/hard && chmod 640 /m/hard
rm -r /m/sub && rmdir /m/none 2>&1 | grep -q 'No such' && echo 'TEST: errors'
mkfifo /m/fifo; (echo through >/m/fifo &) ; echo "TEST: fifo $(cat /m/fifo)"
truncate -s 5 /m/zero; mknod /m/null c 1 3 2>/dev/null || echo 'TEST: no device'
dd if=/m/data of=/dev/null bs=64k skip=3 count=1 2>/dev/null && echo 'TEST: seek'
i=0; while [ $i -lt 300 ]; do echo $i >/m/n$i; i=$((i+1)); done; mv /m/n7 /m/n8
echo "TEST: $(cat /m/n8) $(ls /m/n* | wc -l) $(df /m | wc -l)"
"""
        problem, text = run(scratch.name, script, share, "none")
        if problem:
            return problem
        if (share / "copy").read_bytes() != net.DATA:
            return "the copy is not what was copied"
        hard = (share / "hard").stat()
        if hard.st_nlink != 2 or stat.S_IMODE(hard.st_mode) != 0o640 or \
                time.gmtime(hard.st_mtime)[:3] != (2001, 2, 3):
            return f"attributes: {hard}"
        if (share / "sub").exists() or (share / "zero").stat().st_size != 5:
            return "removed folder or truncated file"
        return expect(text, "TEST: files 500", "TEST: link one d/c/f", "TEST: hard one two",
                      "TEST: unlinked", "TEST: errors", "TEST: fifo through", "TEST: no device",
                      "TEST: seek", "TEST: 7 299 2")


def check_mapped():
    scratch, share, outside = folders()
    with scratch:
        (share / "plain").write_text("host\n")
        os.chmod(share / "plain", 0o644)
        script = f"""
echo secret >/m/f && chown 1234:56 /m/f && chmod 4755 /m/f
mknod /m/dev c 1 3 && echo gone >/m/dev && echo "TEST: null $(wc -c </m/dev)"
ln -s {outside}/secret /m/link && echo "TEST: link $(readlink /m/link)"
cat /m/link 2>&1 | grep -q SECRET || echo 'TEST: not theirs'
mkdir /m/d && chown 7:8 /m/d && mv /m/f /m/d/g && cat /m/plain
stat -c 'TEST: %n %u %g %a %F' /m/d /m/d/g /m/dev /m/link /m/plain
"""
        problem, text = run(scratch.name, script, share, "mapped-xattr")
        if problem:
            return problem
        for name, mode in (("d/g", 0o600), ("dev", 0o600), ("link", 0o600)):
            st = (share / name).lstat()
            if not stat.S_ISREG(st.st_mode) or stat.S_IMODE(st.st_mode) != mode or \
                    st.st_uid != os.getuid():
                return f"{name} on the host: {st}"
        if os.getxattr(share / "d/g", "user.virtfs.uid") != (1234).to_bytes(4, "little"):
            return "the owner is not where others keep it"
        return expect(text, "TEST: null 0", f"TEST: link {outside}/secret", "TEST: not theirs",
                      "TEST: /m/d 7 8 755 directory", "TEST: /m/d/g 1234 56 4755 regular file",
                      "TEST: /m/dev 0 0 644 character special file", "TEST: /m/link 0 0 777 symbolic",
                      "TEST: /m/plain")


class Swapper:
    """The host changes the tree as fast as it can."""

    def __init__(self, share, outside):
        self.share, self.outside, self.stop = share, outside, threading.Event()
        (share / "x").mkdir()
        (share / "x" / "victim").write_text("mine\n")
        (share / "deep").mkdir()
        (share / "deep" / "er").mkdir()
        self.thread = threading.Thread(target=self.work)
        self.rounds = 0

    def work(self):
        """x is a folder, a link out of the share, nothing, in turn; deep/er moves out and back."""
        while not self.stop.is_set():
            os.rename(self.share / "x", self.share / "y")
            os.symlink(self.outside, self.share / "x")
            os.rename(self.share / "deep" / "er", self.outside / "er")
            os.unlink(self.share / "x")
            os.rename(self.share / "y", self.share / "x")
            os.rename(self.outside / "er", self.share / "deep" / "er")
            self.rounds += 1


def check_escape():
    scratch, share, outside = folders()
    with scratch:
        (share / "out").symlink_to(outside)
        (share / "up").symlink_to("../outside")
        (share / "pipe.sock").symlink_to("/dev/null")
        before = sorted(os.listdir(outside))
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(share / "sock"))
        swapper = Swapper(share, outside)
        script = """
cat /m/out/secret /m/up/secret /m/out/../secret 2>&1
echo stolen >/m/out/new; ls /m/.. >/dev/null
echo "TEST: first"
i=0
while [ $i -lt 400 ]; do
    cat /m/x/secret /m/x/victim /m/deep/er/../../outside/secret 2>/dev/null
    echo stolen 2>/dev/null >/m/x/secret; echo stolen 2>/dev/null >/m/x/made$i
    rm -f /m/x/secret /m/x/made$i 2>/dev/null
    (cd /m/deep/er 2>/dev/null && cat ../secret; mkdir ../dir; rmdir ../dir) 2>/dev/null
    mv /m/deep/er/../secret /m/got 2>/dev/null; ln /m/x/secret /m/got$i 2>/dev/null
    i=$((i+1))
done 2>/dev/null
echo "TEST: done"
"""
        problem, text = run(scratch.name, script, share, "none", marker="TEST: first",
                            action=swapper.thread.start)
        swapper.stop.set()
        if swapper.thread.ident:
            swapper.thread.join()
        server.close()
        if problem:
            return problem
        if "SECRET" in text or any("SECRET" in p.read_text() for p in share.rglob("*")
                                   if p.is_file() and not p.is_symlink()):
            return "the guest has read what is outside"
        if sorted(os.listdir(outside)) != before or \
                (outside / "secret").read_text() != "SECRET\n":
            return f"outside was changed: {os.listdir(outside)}"
        print(f"   {swapper.rounds} rounds of the host against 400 of the guest")
        return expect(text, "TEST: done") or (None if swapper.rounds > 50 else "no race to speak of")


def check_readonly():
    scratch, share, _ = folders()
    with scratch:
        (share / "f").write_text("kept\n")
        script = """
echo "TEST: $(cat /m/f)"
(echo x >>/m/f; echo x >/m/new; rm /m/f; mkdir /m/d; mv /m/f /m/g; chmod 0 /m/f; truncate -s 0 /m/f;
 ln /m/f /m/h; ln -s f /m/s) 2>&1 | grep -c 'Read-only' | sed 's/^/TEST: refused /'
"""
        problem, text = run(scratch.name, script, share, "none", ",readonly=on")
        if problem:
            return problem
        if sorted(os.listdir(share)) != ["f"] or (share / "f").read_text() != "kept\n":
            return f"changed: {os.listdir(share)}"
        return expect(text, "TEST: kept", "TEST: refused 9")


def check_reset():
    """Each boot leaves files open and one deleted; the second ends."""
    scratch, share, _ = folders()
    with scratch:
        (share / "count").write_text("0\n")
        script = """
n=$(cat /m/count); n=$((n+1)); echo $n >/m/count; sync
echo "TEST: boot $n"
exec 3>/m/open$n; exec 4</m/count; echo $n >&3; rm /m/open$n
(while :; do cat /m/count; done) >/dev/null &
[ $n -ge 2 ] || { sleep 0.3; reboot -f; sleep 9; }
"""
        options = ["-virtfs", f"local,path={share},mount_tag=tag,security_model=none"]
        guest = Guest(scratch.name, MOUNT + script, options, reboots=True)
        return guest.end() or expect(guest.text, "TEST: boot 1", "TEST: boot 2")


CASES = {"none": check_none, "mapped": check_mapped, "escape": check_escape,
         "readonly": check_readonly, "reset": check_reset}


def main():
    need_kernel()
    run_cases(CASES)


if __name__ == "__main__":
    main()
