# SPDX-License-Identifier: MIT
"""Programs of the payload random: made from a seed, as text that people read, as words in its image.

Any subset of the operations of a program is a program (stress/guest/random.c says why), which is what
makes shrinking simple. Text:

    program
    slot 0 section owner=1 common code     class, the CPU that changes it, address space or common
    slot 1 small owner=0 space=2
    1 map s0 f1 rw ng leaf =3 mva-is @5    frame, rights, nG or global, leaf or pages, what code returns
    1 protect s0 ro asid-ipi @0            the way old entries are invalidated, and by which address
    0 device s1 all-is @0                  a device register over the RAM
    1 patch s0 =4                          a branch in the code is rewritten
    1 unmap s0 all-id @0
    0 load s0 @2 user x8                   load ldrt ldm exec burst store strt stm add, so often
    0 space 2                              what follows runs in this address space
    0 pause 100
    * sync                                 all CPUs meet
"""

import itertools
import random
import shlex
import struct
from dataclasses import dataclass, field, replace

from . import catalog

MAGIC = struct.pack("<4I", 0x52b0d0a1, 0x9c3d14e7, 0x6f0e8b25, 0x1d47a2c9)
BLOB_BYTES = 4 * 16384
SPACES = 3
COMMON, EVERYBODY = 255, 255
SLOTS_MAX, CPUS_MAX = 8, 8

# The order is that of enum op_kind in stress/guest/random.h; so are the other tables'.
CHANGES = ("map", "unmap", "protect", "device", "patch")
OTHERS = ("space", "pause", "sync")
ACCESSES = ("load", "ldrt", "ldm", "exec", "burst", "store", "strt", "stm", "add")
OPS = CHANGES + OTHERS + ACCESSES
CLASSES = ("small", "large", "section", "super")
KINDS = ("none", "rw", "ro", "priv", "device")
WHATS = ("mvaa", "mva", "asid", "all")
WHERES = ("is", "ipi", "id")  # inner shareable; local and IPI; the same by the I and D halves
WAYS = {f"{what}-{where}": w | 4 * where_n for where_n, where in enumerate(WHERES)
        for w, what in enumerate(WHATS) if (what, where) != ("mvaa", "id")}
# An IPI waits until the host has run every CPU, so most maintenance does without.
WAY_WEIGHTS = [{"is": 6, "ipi": 2, "id": 1}[name.split("-")[1]] for name in WAYS]
WAY_NAMES = {number: name for name, number in WAYS.items()}


@dataclass(frozen=True)
class Slot:
    cls: str
    owner: int
    space: int = COMMON
    code: bool = False

    def text(self, number):
        where = "common" if self.space == COMMON else f"space={self.space}"
        return f"slot {number} {self.cls} owner={self.owner} {where}" + (" code" if self.code else "")


@dataclass(frozen=True)
class Op:
    """One operation; the fields that its name does not use stay as they are here."""
    cpu: int
    name: str
    slot: int = 0
    at: int = 0
    user: bool = False
    kind: str = "none"
    leaf: bool = True
    glob: bool = False
    way: int = 0
    frame: int = 0
    arg: int = 0
    count: int = 1

    def text(self):
        words = ["*" if self.cpu == EVERYBODY else str(self.cpu), self.name]
        if self.name == "space":
            return " ".join(words + [str(self.arg)])
        if self.name == "pause":
            return " ".join(words + [str(self.count)])
        if self.name == "sync":
            return " ".join(words)
        words.append(f"s{self.slot}")
        if self.name == "map":
            words += [f"f{self.frame}", self.kind, "global" if self.glob else "ng",
                      "leaf" if self.leaf else "pages", f"={self.arg}"]
        if self.name == "device":
            words.append("global" if self.glob else "ng")
        if self.name == "protect":
            words.append(self.kind)
        if self.name == "patch":
            return " ".join(words + [f"={self.arg}"])
        if self.name in CHANGES:
            return " ".join(words + [WAY_NAMES[self.way], f"@{self.at}"])
        words.append(f"@{self.at}")
        if self.user:
            words.append("user")
        if self.count != 1:
            words.append(f"x{self.count}")
        return " ".join(words)

    def pack(self):
        return struct.pack("<12BI", OPS.index(self.name), self.cpu, self.slot, self.at, self.user,
                           KINDS.index(self.kind), self.leaf, self.glob, self.way, self.frame,
                           self.arg, 0, self.count)


@dataclass
class Program:
    slots: list
    ops: list = field(default_factory=list)

    def text(self):
        return "\n".join(["program", *(s.text(i) for i, s in enumerate(self.slots)),
                          *(op.text() for op in self.ops)])

    def cpus(self):
        return 1 + max([s.owner for s in self.slots] +
                       [op.cpu for op in self.ops if op.cpu != EVERYBODY], default=0)

    def pack(self, milliseconds):
        head = struct.pack("<4I", milliseconds, self.cpus(), len(self.slots), len(self.ops))
        for slot in self.slots + [Slot("small", 0)] * (SLOTS_MAX - len(self.slots)):
            head += bytes([CLASSES.index(slot.cls), slot.owner, slot.space, slot.code])
        return head + b"".join(op.pack() for op in self.ops)


def write_image(programs, milliseconds, source, target):
    """A copy of the payload's ELF file with these programs in it."""
    image = bytearray(source.read_bytes())
    at = image.find(MAGIC)
    if at < 0 or image.find(MAGIC, at + 1) >= 0:
        raise catalog.Problem(f"{source} has no place for programs", 3)
    data = b"".join(program.pack(milliseconds) for program in programs)
    if len(data) > BLOB_BYTES:
        raise catalog.Problem(f"{len(data)} bytes of programs are more than the {BLOB_BYTES} of an image")
    image[at + 16:at + 20 + len(data)] = struct.pack("<I", len(programs)) + data
    target.write_bytes(image)


# ---- making programs ----
def _slots(dice, cpus):
    slots = []
    for number in range(dice.choice((1, 1, 2, 2, 3, 4))):
        cls = dice.choices(CLASSES, (5, 2, 2, 1 if number == 0 else 0))[0]
        space = COMMON if dice.random() < 0.6 else dice.randrange(SPACES)
        slots.append(Slot(cls, dice.randrange(cpus), space, dice.random() < 0.5))
    return slots


def _change(dice, slots, number):
    slot = slots[number]
    names, weights = ["map", "unmap", "protect"], [8, 2, 3]
    if slot.cls == "small":
        names, weights = names + ["device"], weights + [1]
    if slot.code:
        names, weights = names + ["patch"], weights + [4]
    name = dice.choices(names, weights)[0]
    used = {"at": dice.randrange(8), "way": dice.choices(list(WAYS.values()), WAY_WEIGHTS)[0]}
    if name == "map":
        used |= {"kind": dice.choices(KINDS[1:4], (6, 2, 2))[0], "leaf": dice.random() < 0.7,
                 "frame": dice.randrange(2)}
    if name == "protect":
        used["kind"] = dice.choice(KINDS[1:4])
    if name in ("map", "device"):
        used["glob"] = slot.space == COMMON and dice.random() < 0.4
    if name in ("map", "patch"):
        used["arg"] = dice.randrange(8)
    if name == "patch":
        used = {"arg": used["arg"]}
    return Op(slot.owner, name, number, **used)


def _access(dice, slots, cpu, number, devices):
    slot = slots[number]
    names = [n for n in ACCESSES if (n != "exec" or slot.code) and (n != "add" or not devices)]
    if slot.code and dice.random() < 0.4:
        names = ["exec"]
    name = dice.choice(names)
    return Op(cpu, name, number, dice.randrange(8), user=dice.random() < 0.4,
              count=dice.choice((64, 256, 1024, 4096) if name == "burst" else (1, 1, 2, 4, 8, 16, 64)))


def _other(dice, cpu):
    if dice.random() < 0.6:
        return Op(cpu, "space", arg=dice.randrange(SPACES))
    return Op(cpu, "pause", count=dice.choice((10, 100, 1000)))


def _duel(dice, cpus):
    """Few operations on one slot: CPU 0 changes it as fast as it can, the others are in it all the time."""
    slot = Slot(dice.choices(CLASSES, (5, 2, 2, 1))[0], 0,
                COMMON if dice.random() < 0.6 else dice.randrange(SPACES), dice.random() < 0.4)
    names = ["map"] + [dice.choice(("map", "unmap", "protect")) for _ in range(dice.randint(1, 2))]
    ops = []
    for name in names:
        op = _change(dice, [slot], 0)
        while op.name != name or WAY_NAMES[op.way].split("-")[1] != "is":
            op = _change(dice, [slot], 0)
        ops.append(op)
    for cpu in range(1, cpus):
        made = [_access(dice, [slot], cpu, 0, False) for _ in range(dice.randint(1, 3))]
        ops += [op if op.name == "burst" else replace(op, count=dice.choice((8, 32, 64))) for op in made]
        ops += [Op(cpu, "burst", at=dice.randrange(8), count=4096)] * dice.randint(0, 1)
    dice.shuffle(ops)
    return Program([slot], ops)


def _field(dice, cpus):
    """Many slots that change seldom, so that what a change missed lasts, and accesses of all in between."""
    slots = [Slot(dice.choices(CLASSES[:3], (6, 1, 1))[0], i % cpus,
                  COMMON if dice.random() < 0.7 else dice.randrange(SPACES), dice.random() < 0.4)
             for i in range(dice.choice((4, 6, 8)))]
    ops = []
    for number in range(len(slots)):
        first = Op(slots[number].owner, "map", number, dice.randrange(8), kind="rw", frame=dice.randrange(2),
                   leaf=dice.random() < 0.7, way=dice.choices(list(WAYS.values()), WAY_WEIGHTS)[0])
        for op in (first, *(_change(dice, slots, number) for _ in range(dice.randint(1, 2)))):
            ops.append((dice.random(), op))
    for cpu, number in itertools.product(range(cpus), range(len(slots))):
        for count in dice.sample((4, 8, 16, 32), 2):
            ops.append((dice.random(), replace(_access(dice, slots, cpu, number, True), count=count)))
        ops.append((dice.random(), Op(cpu, "burst", number, dice.randrange(8), dice.random() < 0.4,
                                      count=dice.choice((256, 512, 1024)))))
    by_address = [WAYS["mvaa-is"], WAYS["mva-is"]]
    return Program(slots, [replace(op, way=dice.choice(by_address))
                           if op.name in CHANGES and op.name != "patch" and dice.random() < 0.7 else op
                           for _, op in sorted(ops, key=lambda pair: pair[0])])


def _move(ops):
    """Maps of a slot take its two frames in turn: what still goes to the old one is seen to be old."""
    turn, moved = {}, []
    for op in ops:
        if op.name == "map":
            turn[op.slot] = turn.get(op.slot, 0) + 1
            op = replace(op, frame=turn[op.slot] % 2)
        moved.append(op)
    last = {op.slot: op for op in moved if op.name == "map"}
    return moved + [replace(op, frame=1 - op.frame) for slot, op in last.items() if turn[slot] % 2]


def _mixed(dice, cpus):
    """Anything."""
    slots = _slots(dice, cpus)
    changes = []
    for number in range(len(slots)):
        mine = [_change(dice, slots, number) for _ in range(dice.randint(2, 8))]
        changes += mine if any(op.name == "map" for op in mine) else mine + [
            Op(slots[number].owner, "map", number, kind="rw", way=0)]
    devices = {op.slot for op in changes if op.name == "device"}
    ops = list(changes)
    for _ in range(dice.randint(6, 12 * cpus)):
        cpu, number = dice.randrange(cpus), dice.randrange(len(slots))
        ops.append(_other(dice, cpu) if dice.random() < 0.12
                   else _access(dice, slots, cpu, number, number in devices))
    if dice.random() < 0.2:
        ops += [Op(EVERYBODY, "sync")] * dice.randint(1, 3)
    dice.shuffle(ops)
    return Program(slots, ops)


def generate(seed, smp, devices=True):
    """A program for at most so many CPUs, oftener for few. Exclusive accesses and devices never meet in one
    slot: what a store-exclusive to a device does, an implementation defines."""
    dice = random.Random(seed)
    cpus = min(dice.choice((2, 2, 3, 4, smp)), smp)
    shape = dice.random() if cpus > 1 else 1
    made = _duel(dice, cpus) if shape < 0.2 else _field(dice, cpus) if shape < 0.6 else _mixed(dice, cpus)
    return Program(made.slots, _move([op for op in made.ops if devices or op.name != "device"]))


# ---- reading listings ----
def _number(word, prefix, below):
    text = word[len(prefix):]
    if not word.startswith(prefix) or not text.isdigit() or int(text) >= below:
        raise ValueError(f"'{word}' is not {prefix or 'a number from '}0{' to '}{below - 1}")
    return int(text)


def _pick(word, choices):
    if word not in choices:
        raise ValueError(f"'{word}' is none of {', '.join(choices)}")
    return word


def _parse_slot(words, number):
    _number(words[1], "", SLOTS_MAX)
    if int(words[1]) != number:
        raise ValueError(f"slot {number} comes next")
    cls = _pick(words[2], CLASSES)
    if cls == "super" and number:
        raise ValueError("only slot 0 may be a supersection")
    space = COMMON if words[4] == "common" else _number(words[4], "space=", SPACES)
    if words[5:] not in ([], ["code"]):
        raise ValueError(f"'{' '.join(words[5:])}' after a slot")
    return Slot(cls, _number(words[3], "owner=", CPUS_MAX), space, words[5:] == ["code"])


def _parse_change(op, words, slots):
    slot = slots[op["slot"]]
    if op["cpu"] != slot.owner:
        raise ValueError(f"slot {op['slot']} belongs to CPU {slot.owner}")
    if op["name"] == "map":
        op["frame"] = _number(words.pop(0), "f", 2)
        op["kind"] = _pick(words.pop(0), KINDS[1:4])
    if op["name"] in ("map", "device"):
        op["glob"] = _pick(words.pop(0), ("global", "ng")) == "global"
    if op["name"] == "map":
        op["leaf"] = _pick(words.pop(0), ("leaf", "pages")) == "leaf"
    if op["name"] == "protect":
        op["kind"] = _pick(words.pop(0), KINDS[1:4])
    if op["name"] in ("map", "patch"):
        op["arg"] = _number(words.pop(0), "=", 8)
    if op["name"] != "patch":
        op["way"] = WAYS[_pick(words.pop(0), tuple(WAYS))]
        op["at"] = _number(words.pop(0), "@", 8)


def _parse_op(words, slots):
    name = _pick(words[1], OPS)
    if (words[0] == "*") != (name == "sync"):
        raise ValueError("'sync', and nothing else, is for all CPUs: *")
    op = {"cpu": EVERYBODY if name == "sync" else _number(words[0], "", CPUS_MAX), "name": name}
    words = words[2:]
    if name == "space":
        op["arg"] = _number(words.pop(0), "", SPACES)
    elif name == "pause":
        op["count"] = _number(words.pop(0), "", 1 << 24)
    elif name != "sync":
        op["slot"] = _number(words.pop(0), "s", len(slots))
        if name in CHANGES:
            _parse_change(op, words, slots)
        else:
            op["at"] = _number(words.pop(0), "@", 8)
            op["user"] = words[:1] == ["user"]
            words = words[1:] if op["user"] else words
            op["count"] = _number(words.pop(0), "x", 1 << 24) if words else 1
    if words:
        raise ValueError(f"'{' '.join(words)}' is too much")
    return Op(**op)


def parse(text, name):
    """(words of the line "run", programs)"""
    run, programs = {}, []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].split() if not line.startswith("run") else line.split()
        try:
            if not words:
                continue
            if words[0] == "run":
                run = dict(word.split("=", 1) for word in shlex.split(line)[1:])
            elif words == ["program"]:
                programs.append(Program([]))
            elif not programs:
                raise ValueError("'program' comes first")
            elif words[0] == "slot":
                programs[-1].slots.append(_parse_slot(words, len(programs[-1].slots)))
            else:
                programs[-1].ops.append(_parse_op(words, programs[-1].slots))
        except (ValueError, IndexError) as error:
            why = str(error) if isinstance(error, ValueError) else "something is missing"
            raise catalog.Problem(f"{name}:{number}: {why}") from error
    if not programs:
        raise catalog.Problem(f"{name}: no program in it")
    return run, programs
