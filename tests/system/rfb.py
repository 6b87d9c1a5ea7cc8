# SPDX-License-Identifier: MIT
"""A VNC viewer that keeps the picture, and a reader of PNG files: both give rows of 0xRRGGBB."""

import socket
import struct
import time
import zlib

RAW, CURSOR, SIZE, SIZE_EXTENDED = 0, -239, -223, -308


class Viewer:
    """Connected, with an uncompressed picture."""

    def __init__(self, port, timeout=30):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        if self.take(12) != b"RFB 003.008\n":
            raise ValueError("not a server of RFB 3.8")
        self.socket.sendall(b"RFB 003.008\n")
        kinds = self.take(self.take(1)[0])
        if 1 not in kinds:
            raise ValueError(f"security types {kinds}")
        self.socket.sendall(b"\1")
        if self.take(4) != bytes(4):
            raise ValueError("refused")
        self.socket.sendall(b"\1")
        self.width, self.height = struct.unpack(">HH", self.take(4))
        self.take(16)
        self.name = self.take(struct.unpack(">I", self.take(4))[0]).decode()
        self.picture = bytearray(self.width * self.height * 4)
        self.cursor = None
        self.resized = 0
        self.socket.sendall(struct.pack(">Bxxx BBBBHHHBBBxxx", 0, 32, 24, 0, 1, 255, 255, 255,
                                        16, 8, 0))
        encodings = (RAW, CURSOR, SIZE, SIZE_EXTENDED)
        self.socket.sendall(struct.pack(f">BxH{len(encodings)}i", 2, len(encodings), *encodings))

    def take(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                raise EOFError("the server hung up")
            data += more
        return data

    def rectangle(self):
        x, y, w, h, encoding = struct.unpack(">HHHHi", self.take(12))
        if encoding == RAW:
            data = self.take(w * h * 4)
            for row in range(h):
                at = ((y + row) * self.width + x) * 4
                self.picture[at:at + w * 4] = data[row * w * 4:(row + 1) * w * 4]
        elif encoding == CURSOR:
            self.cursor = (x, y, w, h)
            self.take(w * h * 4 + (w + 7) // 8 * h)
        elif encoding in (SIZE, SIZE_EXTENDED):
            if encoding == SIZE_EXTENDED:
                self.take(16 * struct.unpack(">Bxxx", self.take(4))[0])
            if (w, h) != (self.width, self.height):
                self.width, self.height = w, h
                self.picture = bytearray(w * h * 4)
                self.resized += 1
        else:
            raise ValueError(f"encoding {encoding}")

    def update(self, incremental=True):
        """Ask for what is new and wait for it."""
        self.socket.sendall(struct.pack(">BBHHHH", 3, incremental, 0, 0, self.width, self.height))
        while self.take(1)[0] != 0:
            raise ValueError("a message that was not asked for")
        for _ in range(struct.unpack(">xH", self.take(3))[0]):
            self.rectangle()

    def rows(self):
        """The whole picture as it is now."""
        self.update(incremental=False)
        words = struct.unpack(f"<{self.width * self.height}I", self.picture)
        return [[p & 0xffffff for p in words[y * self.width:(y + 1) * self.width]]
                for y in range(self.height)]

    def key(self, symbol, down=None):
        """Press or release; neither: both."""
        for state in (True, False) if down is None else (down,):
            self.socket.sendall(struct.pack(">BBxxI", 4, state, symbol))

    def type(self, text):
        for character in text:
            self.key({"\n": 0xff0d}.get(character, ord(character)))

    def pointer(self, x, y, buttons):
        self.socket.sendall(struct.pack(">BBHH", 5, buttons, x, y))

    def want_size(self, w, h):
        self.socket.sendall(struct.pack(">BxHHBxIHHHHI", 251, w, h, 1, 0, 0, 0, w, h, 0))

    def close(self):
        self.socket.close()


def png_rows(path):
    """The pixels of a PNG file of 8-bit RGB."""
    data = path.read_bytes()
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("not a PNG file")
    at, packed = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0] != zlib.crc32(kind + body):
            raise ValueError("check sum")
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            if (depth, colour) != (8, 2):
                raise ValueError(f"depth {depth}, colour type {colour}")
        elif kind == b"IDAT":
            packed += body
        at += 12 + length
    return unfilter(zlib.decompress(packed), width, height)


def paeth(a, b, c):
    p = a + b - c
    pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
    return a if pa <= pb and pa <= pc else b if pb <= pc else c


def unfilter(data, width, height):
    size, rows, above = 3 * width, [], bytes(3 * width)
    for y in range(height):
        kind = data[y * (size + 1)]
        line = bytearray(data[y * (size + 1) + 1:(y + 1) * (size + 1)])
        for i in range(size if kind else 0):
            a, b, c = (line[i - 3], above[i], above[i - 3]) if i >= 3 else (0, above[i], 0)
            line[i] = (line[i] + (a, b, (a + b) // 2, paeth(a, b, c))[kind - 1]) & 255
        rows.append([line[i] << 16 | line[i + 1] << 8 | line[i + 2] for i in range(0, size, 3)])
        above = line
    return rows


def wait_until(condition, seconds=30):
    """Whether it becomes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
