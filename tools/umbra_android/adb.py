# SPDX-License-Identifier: MIT
"""A small adb client: one shell command over TCP, without an adb server. Messages are six little-endian
words (command, two arguments, length, checksum, magic) and data (AOSP adb's protocol.txt). A guest that
wants a key gets the user's, as adb itself made it in ~/.android; none is ever made here."""

import base64
import os
import socket
import struct
import time
from pathlib import Path

CNXN, AUTH, OPEN, OKAY, CLSE, WRTE = (int.from_bytes(w, "little") for w in
                                      (b"CNXN", b"AUTH", b"OPEN", b"OKAY", b"CLSE", b"WRTE"))
VERSION, MAX_DATA, MAX_OUTPUT = 0x01000000, 4096, 1 << 22


# DigestInfo of SHA-1, before the 20 bytes that adbd sends to be signed (PKCS #1 v1.5).
SHA1 = bytes.fromhex("3021300906052b0e03021a05000414")


class Refused(Exception):
    """adbd is there and wants a key that we have not."""


def _der(data):
    """(tag, contents, what follows) of one DER element."""
    length, at = data[1], 2
    if length & 0x80:
        at += length & 0x7F
        length = int.from_bytes(data[2:at], "big")
    return data[0], data[at:at + length], data[at + length:]


def private_key(path):
    """Modulus and private exponent of a PEM file (PKCS #8, or the key alone)."""
    lines = path.read_text(encoding="ascii").splitlines()
    _, body, _ = _der(base64.b64decode("".join(line for line in lines if not line.startswith("-"))))
    numbers = []
    while body and len(numbers) < 4:
        tag, contents, body = _der(body)
        if tag == 4:                   # PKCS #8: the key is in an octet string
            _, body, _ = _der(contents)
            numbers = []
        elif tag == 2:
            numbers.append(int.from_bytes(contents, "big"))
    return numbers[1], numbers[3]


def sign(token, modulus, exponent):
    size = (modulus.bit_length() + 7) // 8
    tail = b"\0" + SHA1 + token
    padded = b"\0\1".ljust(size - len(tail), b"\xff") + tail
    return pow(int.from_bytes(padded, "big"), exponent, modulus).to_bytes(size, "big")


def _authenticate(sock, token, end):
    home = Path(os.environ.get("ANDROID_USER_HOME") or Path.home() / ".android")
    try:
        modulus, exponent = private_key(home / "adbkey")
    except (OSError, ValueError, IndexError) as err:
        raise Refused(f"it wants a key, and {home / 'adbkey'} is none") from err
    _send(sock, AUTH, 2, 0, sign(token, modulus, exponent))
    kind, _, _, _ = _receive(sock, end)
    if kind == AUTH:
        raise Refused(f"it does not know the key {home / 'adbkey'}")
    return kind


def _send(sock, command, first, second, data=b""):
    sock.sendall(struct.pack("<6I", command, first, second, len(data), sum(data) & 0xFFFFFFFF,
                             command ^ 0xFFFFFFFF) + data)


def _exactly(sock, size, end):
    data = b""
    while len(data) < size:
        sock.settimeout(max(0.01, end - time.monotonic()))
        piece = sock.recv(size - len(data))
        if not piece:
            raise OSError("connection closed")
        data += piece
    return data


def _receive(sock, end):
    command, first, second, length, _, magic = struct.unpack("<6I", _exactly(sock, 24, end))
    if magic != command ^ 0xFFFFFFFF or length > 1 << 20:
        raise OSError("not the adb protocol")
    return command, first, second, _exactly(sock, length, end)


class Link:
    """A connection to an adbd, for one command after the other."""

    def __init__(self, port, timeout=10, host="127.0.0.1"):
        """OSError: no answer (in time); Refused: a key is wanted."""
        end = time.monotonic() + timeout
        self._stream = 0
        self._sock = socket.create_connection((host, port), timeout=timeout)
        try:
            _send(self._sock, CNXN, VERSION, MAX_DATA, b"host::\0")
            kind, _, _, token = _receive(self._sock, end)
            if kind == AUTH:
                kind = _authenticate(self._sock, token, end)
            if kind != CNXN:
                raise OSError("not the adb protocol")
        except (OSError, Refused):
            self.close()
            raise

    def close(self):
        self._sock.close()

    def shell(self, command, timeout=10):
        """Output of a command in the guest. OSError: no answer in time; the link is of no use any more."""
        end = time.monotonic() + timeout
        self._stream += 1
        _send(self._sock, OPEN, self._stream, 0, b"shell:" + command.encode() + b"\0")
        output = b""
        while len(output) < MAX_OUTPUT:
            kind, remote, local, data = _receive(self._sock, end)
            if local != self._stream:
                continue               # the end of an earlier command
            if kind == WRTE:
                output += data
                _send(self._sock, OKAY, self._stream, remote)
            elif kind == CLSE:
                break
        return output.decode("utf-8", "replace").replace("\r", "")


def shell(port, command, timeout=10, host="127.0.0.1"):
    """Output of one command by a connection of its own; fails like Link."""
    link = Link(port, timeout, host)
    try:
        return link.shell(command, timeout)
    finally:
        link.close()
