#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Generate an instruction decoder from a declarative table.

usage: decodegen.py --input X.decode --header X_decode.h --source X_decode.c
       decodegen.py --check X.decode Y.decode ...      (tables of one instruction set)
       decodegen.py --list X.decode ...                (coverage list)

The language is described in docs/decode.md. From one table come: the decoder (a
decision tree), one argument structure per set of field names, the prototypes of the
trans_NAME() functions, and X_encodings[], the list that the random instruction
generator and the tests read. Encodings that overlap outside a { } group are an error.
"""

import argparse
import copy
import os
import re
import sys

NAME_RE = re.compile(r'[A-Za-z][A-Za-z0-9_]*$')
FIELD_RE = re.compile(r'([a-z][a-z0-9_]*):(s?)(\d+)$')
CONST_RE = re.compile(r'([a-z][a-z0-9_]*)=(-?(?:0x[0-9a-fA-F]+|[0-9]+))$')
SHIFT_RE = re.compile(r'([a-z][a-z0-9_]*)<<(\d+)$')
ADD_RE = re.compile(r'([a-z][a-z0-9_]*)\+(\d+)$')
JOIN_RE = re.compile(r'([a-z][a-z0-9_]*)=([a-z][a-z0-9_]*(?::[a-z][a-z0-9_]*)+)$')
COPY_RE = re.compile(r'([a-z][a-z0-9_]*)=([a-z][a-z0-9_]*)$')
LEAF_MAX = 2        # patterns tested one after the other at a leaf
DUP_MAX = 1.35      # growth by duplication that a split may cause


class TableError(Exception):
    """An error of the table's author, with file and line."""


class Field:
    """A named value made of one or more segments of the word, high part first."""

    def __init__(self, signed):
        self.signed = signed
        self.segs = []          # (position, length)
        self.shift = 0
        self.add = 0

    def width(self):
        return sum(length for _, length in self.segs)

    def place(self, value):
        """(mask, value) of the word that gives the field this (unshifted) value."""
        mask = bits = 0
        low = self.width()
        for pos, length in self.segs:
            low -= length
            ones = (1 << length) - 1
            mask |= ones << pos
            bits |= ((value >> low) & ones) << pos
        return mask, bits

    def expr(self):
        parts = []
        low = self.width()
        for i, (pos, length) in enumerate(self.segs):
            low -= length
            kind = 's' if self.signed and i == 0 else 'u'
            part = f'decode_{kind}bits(insn, {pos}, {length})'
            if low:
                part = f'{part} * {1 << low}' if kind == 's' else f'{part} << {low}'
            parts.append(part)
        if len(parts) == 1:
            text = parts[0]
        elif self.signed:
            text = ' + '.join(p if '_s' in p else f'(int32_t)({p})' for p in parts)
        else:
            text = ' | '.join(f'({p})' if '<<' in p else p for p in parts)
        if self.shift:
            text = f'({text}) * {1 << self.shift}' if self.signed else f'({text}) << {self.shift}'
        if self.add:
            text = f'({text}) + {self.add}'
        return text


class Encoding:
    """One line of a table: a cube (mask, value) less some excluded cubes."""

    def __init__(self, path, line, name, section, group):
        self.path, self.line, self.name = path, line, name
        self.section, self.group = section, group
        self.mask = self.value = self.sb_mask = self.sb_value = 0
        self.fields = {}
        self.consts = {}
        self.hidden = {}        # fields of the word that are not passed on (cccc)
        self.excl = []
        self.index = 0

    def where(self):
        return f'{self.path}:{self.line}: {self.name}'

    def fail(self, text):
        raise TableError(f'{self.where()}: {text}')

    def signature(self):
        """Sorted (field name, signed) pairs: what the argument structure holds."""
        names = {n: f.signed for n, f in self.fields.items()}
        for n, v in self.consts.items():
            names[n] = v < 0
        return tuple(sorted(names.items()))

    def struct_name(self):
        sig = self.signature()
        if not sig:
            return 'args_none'
        return 'args_' + '_'.join(('s' if signed else '') + n for n, signed in sig)


class Table:
    """A parsed .decode file."""

    def __init__(self, path):
        self.path = path
        self.stem = os.path.basename(path).rsplit('.', 1)[0]
        self.width = 32
        self.encodings = []
        self.parse()

    def parse(self):
        section, group, groups, pending, start = '', 0, 0, '', 0
        with open(self.path, encoding='utf-8') as f:
            for number, raw in enumerate(f, 1):
                if raw.startswith('## '):
                    section = raw[3:].strip()
                text = raw.split('#', 1)[0].strip()
                if not pending:
                    start = number
                if text.endswith('\\'):
                    pending += text[:-1] + ' '
                    continue
                text, pending = (pending + text).strip(), ''
                if not text:
                    continue
                if text == '{':
                    if group:
                        raise TableError(f'{self.path}:{number}: groups do not nest')
                    groups += 1
                    group = groups
                elif text == '}':
                    if not group:
                        raise TableError(f'{self.path}:{number}: }} without {{')
                    group = 0
                elif text.startswith('%width'):
                    self.width = int(text.split()[1])
                    if self.width not in (16, 32) or self.encodings:
                        raise TableError(f'{self.path}:{number}: bad or late %width')
                else:
                    self.encodings.append(self.parse_encoding(start, text, section, group))
        if group:
            raise TableError(f'{self.path}: {{ is never closed')
        if not self.encodings:
            raise TableError(f'{self.path}: no encoding')
        for i, e in enumerate(self.encodings):
            e.index = i

    def parse_encoding(self, number, text, section, group):
        name, *tokens = text.split()
        e = Encoding(self.path, number, name, section, group)
        if not NAME_RE.match(name):
            e.fail('bad name')
        pos = self.width
        clauses = []
        for tok in tokens:
            field = FIELD_RE.match(tok)
            if tok == 'cccc' and pos == self.width == 32:
                pos -= 4
                e.hidden['cond'] = Field(False)
                e.hidden['cond'].segs.append((pos, 4))
                e.excl.append((0xf0000000, 0xf0000000))
            elif re.match(r'[01+-]+$', tok) and not clauses:
                for c in tok:
                    pos -= 1
                    if pos < 0:
                        break
                    if c in '01':
                        e.mask |= 1 << pos
                        e.value |= int(c) << pos
                    else:
                        e.sb_mask |= 1 << pos
                        e.sb_value |= (c == '+') << pos
            elif field and not clauses:
                fname, signed, length = field[1], bool(field[2]), int(field[3])
                pos -= length
                if length == 0:
                    e.fail(f'{fname}: empty field')
                f = e.fields.setdefault(fname, Field(signed))
                if signed and f.segs:
                    e.fail(f'{fname}: the sign belongs to the first part')
                if pos >= 0:
                    f.segs.append((pos, length))
            else:
                clauses.append(tok)
            if pos < 0:
                break
        if pos != 0:
            e.fail(f'{self.width - pos} bits, expected {self.width}')
        for tok in clauses:
            self.parse_clause(e, tok)
        if e.mask == 0 and not e.fields:
            e.fail('matches everything')
        return e

    def parse_clause(self, e, tok):
        if tok.startswith('!'):
            mask = value = 0
            for part in tok[1:].split('&'):
                m = CONST_RE.match(part)
                if not m or m[1] not in e.fields:
                    e.fail(f'bad constraint {tok}')
                f, v = e.fields[m[1]], int(m[2], 0)
                if not 0 <= v < 1 << f.width():
                    e.fail(f'{tok}: value does not fit the field')
                fm, fv = f.place(v)
                mask |= fm
                value |= fv
            e.excl.append((mask, value))
            return
        for regex, attr in ((SHIFT_RE, 'shift'), (ADD_RE, 'add')):
            m = regex.match(tok)
            if m:
                if m[1] not in e.fields:
                    e.fail(f'{tok}: no such field')
                setattr(e.fields[m[1]], attr, int(m[2]))
                return
        m = COPY_RE.match(tok)
        if m and not CONST_RE.match(tok):
            if m[1] in e.fields or m[1] in e.consts or m[2] not in e.fields:
                e.fail(f'bad copy {tok}')
            e.fields[m[1]] = copy.copy(e.fields[m[2]])
            return
        m = JOIN_RE.match(tok)
        if m:
            self.join(e, m[1], m[2].split(':'), tok)
            return
        m = CONST_RE.match(tok)
        if not m or m[1] in e.fields or m[1] in e.consts:
            e.fail(f'bad clause {tok}')
        e.consts[m[1]] = int(m[2], 0)

    @staticmethod
    def join(e, name, parts, tok):
        """Replace the parts by one field, highest part first."""
        if any(p not in e.fields for p in parts) or len(set(parts)) != len(parts):
            e.fail(f'{tok}: no such field, or used twice')
        joined = Field(e.fields[parts[0]].signed)
        for p in parts:
            joined.segs += e.fields.pop(p).segs
        if name in e.fields or name in e.consts:
            e.fail(f'{tok}: {name} exists')
        e.fields[name] = joined


def witness(mask, value, cubes):
    """A word in the cube (mask, value) and in none of the cubes; None if there is none."""
    live = [(m, v) for m, v in cubes if (v ^ value) & m & mask == 0]
    if not live:
        return value
    m, _ = live[0]
    free = m & ~mask
    if not free:
        return None
    bit = free & -free
    for v in (value, value | bit):
        word = witness(mask | bit, v, live)
        if word is not None:
            return word
    return None


def check_overlaps(encodings):
    """Complain about each pair that overlaps without being meant to."""
    errors = []
    for i, a in enumerate(encodings):
        if witness(a.mask, a.value, a.excl) is None:
            errors.append(f'{a.where()}: constraints leave nothing')
        for b in encodings[i + 1:]:
            if (a.value ^ b.value) & a.mask & b.mask:
                continue
            if a.group and a.group == b.group and a.path == b.path:
                continue
            word = witness(a.mask | b.mask, a.value | b.value, a.excl + b.excl)
            if word is not None:
                errors.append(f'{a.where()} overlaps {b.where()}: {word:#x}')
    for a in encodings:         # a member of a group that can never be reached
        if a.group:
            before = [b for b in encodings
                      if b.path == a.path and b.group == a.group and b.line < a.line]
            plain = [(b.mask, b.value) for b in before if set(b.excl) <= set(a.excl)]
            if witness(a.mask, a.value, a.excl + plain) is None:
                errors.append(f'{a.where()}: hidden by earlier members of its group')
    return errors


def check_signatures(encodings):
    """All encodings of one name must fill the same argument structure."""
    first, errors = {}, []
    for e in encodings:
        other = first.setdefault(e.name, e)
        if other.signature() != e.signature():
            errors.append(f'{e.where()}: fields differ from {other.where()}: '
                          f'{e.struct_name()} / {other.struct_name()}')
    return errors


def split_bits(encs, known):
    """Bits to switch on next, as a mask; 0 when nothing separates the patterns."""
    common = ~known
    for e in encs:
        common &= e.mask
    first = encs[0].value
    useful = 0
    for e in encs:
        useful |= (e.value ^ first) & common
    if useful:
        return useful
    best, best_cost = 0, None
    for pos in range(32):
        bit = 1 << pos
        if known & bit:
            continue
        zero = sum(1 for e in encs if not e.mask & bit or not e.value & bit)
        one = sum(1 for e in encs if not e.mask & bit or e.value & bit)
        if max(zero, one) == len(encs) or zero + one > DUP_MAX * len(encs) + 1:
            continue
        cost = max(zero, one) + (zero + one)
        if best_cost is None or cost < best_cost:
            best, best_cost = bit, cost
    return best


class Writer:
    """Writes the decoder's C source."""

    def __init__(self, table, ctx):
        self.table, self.ctx, self.out = table, ctx, []

    def put(self, depth, text):
        self.out.append('    ' * depth + text if text else '')

    def leaf(self, encs, known, depth):
        for e in encs:
            need = e.mask & ~known
            tests = []
            if need:
                tests.append(f'(insn & {need:#x}) == {e.value & need:#x}')
            for m, v in e.excl:
                tests.append(f'(insn & {m:#x}) != {v:#x}')
            call = f'return {e.index};'
            if not tests:
                self.put(depth, call)
                return False
            self.put(depth, f'if ({(chr(10) + "    " * depth + "    && ").join(tests)}) {{')
            self.put(depth + 1, call)
            self.put(depth, '}')
        return True

    def node(self, encs, known, value, depth):
        """Emit the tests below one node; true when control can reach its end."""
        bits = split_bits(encs, known) if len(encs) > LEAF_MAX else 0
        if not bits:
            return self.leaf(encs, known, depth)
        keys = {}
        fixed = all(e.mask & bits == bits for e in encs)
        choices = sorted({e.value & bits for e in encs}) if fixed else [0, bits]
        for key in choices:
            keys[key] = [e for e in encs if not (e.value ^ key) & e.mask & bits]
        shift = (bits & -bits).bit_length() - 1
        contiguous = ((bits >> shift) + 1) & (bits >> shift) == 0
        if contiguous and shift:
            self.put(depth, f'switch ((insn >> {shift}) & {bits >> shift:#x}) {{')
        else:
            self.put(depth, f'switch (insn & {bits:#x}) {{')
            shift = 0
        for key, sub in keys.items():
            if not sub:
                continue
            self.put(depth, f'case {key >> shift:#x}:')
            if self.node(sub, known | bits, value | key, depth + 1):
                self.put(depth + 1, 'break;')
        self.put(depth, '}')
        return True

    def take(self, e):
        stem = self.table.stem
        self.put(0, f'/* {os.path.basename(e.path)}:{e.line} */')
        self.put(0, f'static bool {stem}_take_{e.index}(struct {self.ctx} *s, uint32_t insn)')
        self.put(0, '{')
        self.put(1, f'const struct arg_{e.name} a = {{')
        for n, _ in e.signature():
            text = e.fields[n].expr() if n in e.fields else str(e.consts[n])
            self.put(2, f'.{n} = {text},')
        if not e.signature():
            self.put(2, '.unused = 0,')
        self.put(1, '};')
        self.put(0, '')
        self.put(1, '(void)insn;')
        self.put(1, f'return trans_{e.name}(s, &a);')
        self.put(0, '}')
        self.put(0, '')

    def encoding_table(self):
        stem, encs = self.table.stem, self.table.encodings
        for e in encs:
            fields = sorted((e.fields | e.hidden).items())
            if fields:
                self.put(0, f'static const struct decode_field {stem}_fields_{e.index}[] = {{')
                for n, f in fields:
                    segs = ', '.join(f'{{ {p}, {length} }}' for p, length in f.segs)
                    self.put(1, f'{{ .name = "{n}", .is_signed = {str(f.signed).lower()}, '
                                f'.shift = {f.shift}, .add = {f.add}, '
                                f'.segments = {len(f.segs)}, .segment = {{ {segs} }} }},')
                self.put(0, '};')
            if e.excl:
                self.put(0, f'static const struct decode_cube {stem}_not_{e.index}[] = {{')
                for m, v in e.excl:
                    self.put(1, f'{{ {m:#x}, {v:#x} }},')
                self.put(0, '};')
        self.put(0, '')
        self.put(0, f'const struct decode_encoding {stem}_encodings[] = {{')
        for e in encs:
            section = e.section.replace('\\', '').replace('"', "'")
            self.put(1, '{')
            self.put(2, f'.name = "{e.name}", .section = "{section}", '
                        f'.width = {self.table.width}, .group = {e.group},')
            self.put(2, f'.mask = {e.mask:#x}, .value = {e.value:#x}, '
                        f'.sb_mask = {e.sb_mask:#x}, .sb_value = {e.sb_value:#x},')
            fields = len(e.fields) + len(e.hidden)
            if fields:
                self.put(2, f'.fields = {fields}, .field = {stem}_fields_{e.index},')
            if e.excl:
                self.put(2, f'.excludes = {len(e.excl)}, .exclude = {stem}_not_{e.index},')
            self.put(1, '},')
        self.put(0, '};')
        self.put(0, f'const unsigned {stem}_encodings_count = {len(encs)};')

    def source(self, header):
        t = self.table
        self.put(0, '/* SPDX-License-Identifier: MIT */')
        self.put(0, f'/* Generated by tools/decodegen.py from {os.path.basename(t.path)}. */')
        self.put(0, f'#include "{header}"')
        self.put(0, '')
        for e in t.encodings:
            self.take(e)
        self.put(0, f'int {t.stem}_lookup(uint32_t insn)')
        self.put(0, '{')
        if self.node(t.encodings, 0, 0, 1):
            self.put(1, 'return -1;')
        self.put(0, '}')
        self.put(0, '')
        self.put(0, f'bool {t.stem}_decode(struct {self.ctx} *s, uint32_t insn)')
        self.put(0, '{')
        self.put(1, f'switch ({t.stem}_lookup(insn)) {{')
        for e in t.encodings:
            self.put(1, f'case {e.index}:')
            self.put(2, f'return {t.stem}_take_{e.index}(s, insn);')
        self.put(1, 'default:')
        self.put(2, 'return false;')
        self.put(1, '}')
        self.put(0, '}')
        self.put(0, '')
        self.encoding_table()
        return '\n'.join(self.out) + '\n'

    def header(self):
        t, out = self.table, []
        out += ['/* SPDX-License-Identifier: MIT */',
                f'/* Generated by tools/decodegen.py from {os.path.basename(t.path)}. */',
                '#pragma once', '', '#include <stdbool.h>', '#include <stdint.h>', '',
                '#include "tcg/decode_table.h"', '', f'struct {self.ctx};', '']
        seen, names = set(), set()
        for e in t.encodings:
            struct = e.struct_name()
            if struct not in seen:
                seen.add(struct)
                guard = f'DECODE_{struct.upper()}'
                out += [f'#ifndef {guard}', f'#define {guard}', f'struct {struct} {{']
                for n, signed in e.signature():
                    out.append(f'    {"int32_t" if signed else "uint32_t"} {n};')
                if not e.signature():
                    out.append('    uint32_t unused;')
                out += ['};', '#endif']
            if e.name not in names:
                names.add(e.name)
                # Several tables may declare it; arg_NAME keeps the compiler's check that they agree.
                guard = f'DECODE_TRANS_{e.name}'
                out += [f'#define arg_{e.name} {struct}', f'#ifndef {guard}', f'#define {guard}',
                        f'bool trans_{e.name}(struct {self.ctx} *s, const struct {struct} *a);',
                        '#endif']
        out += ['', f'/* Index into {t.stem}_encodings[], -1 when nothing matches. */',
                f'int {t.stem}_lookup(uint32_t insn);',
                f'bool {t.stem}_decode(struct {self.ctx} *s, uint32_t insn);',
                f'extern const struct decode_encoding {t.stem}_encodings[];',
                f'extern const unsigned {t.stem}_encodings_count;']
        return '\n'.join(out) + '\n'


def write_if_changed(path, text):
    """Keep the time stamp of an output that did not change."""
    try:
        with open(path, encoding='utf-8') as f:
            if f.read() == text:
                os.utime(path)
                return
    except FileNotFoundError:
        pass
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)


def main():
    p = argparse.ArgumentParser(description='instruction decoder generator')
    p.add_argument('--input')
    p.add_argument('--header')
    p.add_argument('--source')
    p.add_argument('--context', default='arm_ctx', help='structure tag of the context')
    p.add_argument('--check', nargs='+', metavar='TABLE')
    p.add_argument('--list', nargs='+', metavar='TABLE')
    args = p.parse_args()
    try:
        if args.check or args.list:
            tables = [Table(path) for path in args.check or args.list]
        elif args.input and args.header and args.source:
            tables = [Table(args.input)]
        else:
            p.error('need --input, --header and --source, or --check, or --list')
        encodings = [e for t in tables for e in t.encodings]
        if len({t.width for t in tables}) > 1:
            raise TableError('tables of different widths cannot be checked together')
        errors = check_signatures(encodings) + check_overlaps(encodings)
        if errors and not args.list:
            raise TableError('\n'.join(errors))
    except (TableError, OSError) as err:
        print(err, file=sys.stderr)
        return 1
    if args.list:
        for e in encodings:
            print(f'{e.section or "-"}\t{e.name}\t{e.mask:#010x}\t{e.value:#010x}')
    elif args.input:
        w = Writer(tables[0], args.context)
        write_if_changed(args.header, w.header())
        write_if_changed(args.source, w.source(os.path.basename(args.header)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
