# SPDX-License-Identifier: MIT
"""Numbers, strings and modules of python; the same text on every machine."""
import base64
import bisect
import collections
import decimal
import fractions
import hashlib
import heapq
import itertools
import json
import math
import pickle
import random
import re
import statistics
import struct
import sys
import zlib

rng = random.Random(int(sys.argv[1]))
numbers = [rng.getrandbits(rng.randrange(1, 200)) - rng.getrandbits(100) for _ in range(300)]
reals = [math.ldexp(rng.uniform(-1, 1), rng.randrange(-90, 90)) for _ in range(300)]  # pow() may differ in a bit

for a, b in zip(numbers, numbers[1:]):
    b = b or 1
    print(a + b, a * b, a // b, a % b, a ^ b, a & b, a >> 13, hex(a), pow(a, 65537, abs(b) + 2), a / b)
for x, y in zip(reals, reals[1:]):
    print(repr(x), x + y, x * y, x / y, x % y, math.sqrt(abs(x)), x.hex(), round(x, 3), f"{x:.9e} {y:+.4g}", x < y,
          int(x), x.as_integer_ratio())
decimal.getcontext().prec = 60
print(sum(decimal.Decimal(x).sqrt() for x in map(abs, reals)), decimal.Decimal(2).ln(), decimal.Decimal(3).exp())
print(sum((fractions.Fraction(a, abs(b) + 1) for a, b in zip(numbers[:40], numbers[40:])), fractions.Fraction(0)))
print(statistics.fmean(reals), statistics.median(reals), statistics.pvariance(numbers))

text = " ".join(re.sub(r"\d", lambda m: chr(97 + int(m[0])), str(abs(n))) for n in numbers)
words = collections.Counter(re.findall(r"\b[a-f]+|[e-j]{2,5}(?=[a-c])", text))
print(sorted(words.items(), key=lambda item: (-item[1], item[0]))[:200])
data = text.encode() * 4
for name in ("md5", "sha1", "sha256", "sha3_256", "blake2b", "blake2s"):
    print(name, hashlib.new(name, data).hexdigest())
packed = zlib.compress(data, 9)
assert zlib.decompress(packed) == data
print(zlib.crc32(data), zlib.adler32(data), hashlib.md5(packed).hexdigest(), base64.b85encode(data[:99]))

tree = {str(n): {"reals": reals[i:i + 3], "words": text[i:i + 9], "n": n} for i, n in enumerate(numbers)}
shown = json.dumps(tree, sort_keys=True)
assert json.loads(shown) == tree and pickle.loads(pickle.dumps(tree)) == tree
print(hashlib.sha256(shown.encode()).hexdigest(), hashlib.sha256(pickle.dumps(tree, 4)).hexdigest())
print(struct.pack("<bHiQfd", -3, 9, numbers[0] & 0xffff, numbers[1] & 0xffffffff, reals[0] * 1e-3, reals[1]).hex())

heap = []
for number in numbers:
    heapq.heappush(heap, number)
assert [heapq.heappop(heap) for _ in numbers] == sorted(numbers)
print(bisect.bisect(sorted(numbers), numbers[7]), sum(1 for _ in itertools.combinations(range(18), 5)))
print(rng.sample(range(10**9), 50), rng.gauss(0, 1) < 9, "".join(map(chr, range(0x3b1, 0x3c9))).upper().casefold())
