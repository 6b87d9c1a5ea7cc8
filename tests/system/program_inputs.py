# SPDX-License-Identifier: MIT
"""What each program of programs.py gets, made from a seed, and what it must put out: prepare_NAME(seed, inputs, expected)
fills the two folders and returns {word of the script: value}. Expected output comes from the host: from its cross
compiler, from user-mode emulation, or from its own openssl, perl and python. Where it is one of the program's own
tests that judges, there is none.
"""

import os
import random
import re
import resource
import subprocess
import sys
import tarfile
from pathlib import Path

import guest

sys.path.insert(0, str(guest.ROOT / "bench"))
from evaluation import machine, programs as bench_programs  # noqa: E402 pylint: disable=wrong-import-position

FOLDER = Path(__file__).parent / "programs"
CROSS = "arm-linux-gnueabihf-gcc"
CSMITH_OPTIONS = "--max-funcs 6 --max-block-depth 4"
RANDOM_PROGRAMS = 1
STRESSORS = {
    "cpu": "200 --cpu-method all", "vecmath": "300", "vecwide": "60", "vecfp": "20", "vecshuf": "20", "fp": "10", "atomic": "100",
    "matrix": "100", "matrix-3d": "20", "sparsematrix": "4", "crypt": "20", "hash": "20", "str": "100", "wcs": "100",
    "qsort": "4", "heapsort": "2", "mergesort": "2", "shellsort": "1", "radixsort": "2", "bsearch": "10", "hsearch": "10",
    "lsearch": "1", "tsearch": "3", "skiplist": "2", "tree": "2 --tree-size 2000", "judy": "2", "list": "100", "randlist": "2",
    "zlib": "10", "jpeg": "4", "regs": "20000", "rotate": "100", "funcret": "200", "misaligned": "50", "memcpy": "50",
    "longjmp": "200000", "context": "20000", "goto": "2000", "branch": "2000", "far-branch": "20", "icache": "2000",
    "cacheline": "50", "dekker": "2000", "peterson": "2000", "vm": "400 --vm-bytes 16M", "mutex": "4000",
    "futex": "4000", "pthread": "200", "pipe": "20000", "sem": "20000", "malloc": "20000",
    "memrate": "4 --memrate-bytes 8M", "sigfpe": "2000"}
STRESSORS_AT_ONCE = 6
# Without those that measure how long something takes: the host may be busy.
MODULES = """array ast audioop base64 baseexception binascii binop bisect bool buffer bytes bz2 calendar call cmath codeop
collections complex contextlib copy csv ctypes dataclasses decimal deque descr dict difflib enum exceptions
fileio float format fractions fstring functools generators genericalias grammar hash hashlib heapq hmac html int
itertools json list listcomps long marshal math memoryview minidom mmap ordered_dict operator patma pow pprint
range re richcmp scope set setcomps shelve slice sort strftime string struct super syntax textwrap tokenize
tuple types typing unicode unicodedata userdict weakref with xml_etree zlib fork1 posix""".split()
MODULES_AT_ONCE = 4
PERL_FOLDERS = ("base", "cmd", "comp", "mro", "op", "opbasic", "re", "uni", "io", "lib")
PERL_SLOW = re.compile(rb"fresh_perl|runperl|run_multiple_progs|fold_grind|EXHAUSTIVE|fork")
PERL_LEFT = re.compile(r"uniprops|psycho|speed|eintr|alarm|sleep|time")  # made at a build, or slow, or about time
PERL_AT_ONCE = 15


def run(*command, **options):
    return subprocess.run([str(word) for word in command], check=True, stdin=subprocess.DEVNULL, **options)


# ---- gcc ----
def limit_cpu():
    resource.setrlimit(resource.RLIMIT_CPU, (3, 3))


def random_program(root, seed, name, folder):
    """One that ends soon: its seed, source, preprocessed source and output; None for another."""
    source = folder / f"{name}.c"
    run("qemu-arm", "-L", root, root / "usr/bin/csmith", *CSMITH_OPTIONS.split(), "--seed", seed, "--output", source.name,
        cwd=folder, stdout=subprocess.DEVNULL)
    (folder / "platform.info").unlink()
    run(CROSS, "-E", "-P", "-w", f"-I{root}/usr/include/csmith", "-o", folder / f"{name}.i", source)
    run(CROSS, "-w", "-static", "-O1", "-o", folder / "program", folder / f"{name}.i")
    done = subprocess.run(["qemu-arm", str(folder / "program")], capture_output=True, check=False, preexec_fn=limit_cpu)
    (folder / "program").unlink()
    return done.stdout if done.returncode == 0 else None


def prepare_gcc(seed, inputs, expected):
    """The cross compiler is of the same release as the guest's, so the text is the same."""
    root = Path(machine.user_root("programs"))
    rng, words = random.Random(seed), []
    for number in range(RANDOM_PROGRAMS):
        name, printed = f"random{number}", None
        while printed is None:
            one = rng.randrange(1, 2**31)
            printed = random_program(root, one, name, inputs)
        (inputs / f"{name}.c").rename(expected / f"{name}.c")
        words.append(f"{one}:{name}")
        for level in "0123s":
            (expected / f"{name}-O{level}.txt").write_bytes(printed)
    (inputs / "large.i").write_text(bench_programs.c_source(rng.randrange(8, 20)), encoding="utf-8")
    for source in inputs.glob("*.i"):
        for level in "0123s":
            run(CROSS, "-w", "-fno-ident", f"-O{level}", "-S", "-o", f"{expected}/{source.stem}-O{level}.s", source.name,
                cwd=inputs)
    return {"CSMITH": " ".join(words), "CSMITH_OPTIONS": CSMITH_OPTIONS}


# ---- openssl ----
def prepare_openssl(seed, inputs, expected):
    rng = random.Random(seed)
    for name, size in (("large", 200_000), ("odd", rng.randrange(1, 5000)), ("short", 40), ("empty", 0)):
        (inputs / f"data.{name}").write_bytes(rng.randbytes(size))
    run("openssl", "genrsa", "-out", inputs / "rsa.pem", 2048, stderr=subprocess.DEVNULL)
    for name in ("ed25519", "ed448", "x25519"):
        run("openssl", "genpkey", "-algorithm", name, "-out", inputs / f"{name}.pem")
    for name, curve in (("p256", "P-256"), ("p384", "P-384"), ("p521", "P-521"), ("k256", "secp256k1")):
        run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-out",
            inputs / f"{name}.pem")
        run("openssl", "dgst", "-sha512", "-sign", inputs / f"{name}.pem", "-out", inputs / f"{name}.signature",
            inputs / "data.odd")
    words = {"KEY": rng.randbytes(32).hex(), "IV": rng.randbytes(16).hex(), "MACKEY": rng.randbytes(16).hex(),
             "NUMBERS": " ".join(str(rng.getrandbits(200) | 1) for _ in range(4)) + " 170141183460469231731687303715884105727"}
    on_host("openssl", seed, {**words, "TAGS": "neon"}, inputs, expected)
    for file in list(expected.iterdir()):
        if file.name != "prime":
            (expected / f"{file.name}-scalar").write_bytes(file.read_bytes())
    return {**words, "TAGS": "neon -scalar"}


# ---- stress-ng, python, perl ----
def prepare_stress(seed, _, __):
    rng = random.Random(seed)
    names = rng.sample(sorted(STRESSORS), STRESSORS_AT_ONCE)
    return {"STRESSORS": "\n".join(
        f"--{name} {rng.choice((1, 2, 4))} --{name}-ops {STRESSORS[name]}" for name in names)}


def prepare_python(seed, inputs, expected):
    (inputs / "program.py").write_bytes((FOLDER / "program.py").read_bytes())
    on_host("python", seed, {"MODULES": ""}, inputs, expected)
    names = random.Random(seed).sample(MODULES, MODULES_AT_ONCE)
    return {"MODULES": " ".join("test_" + name for name in names)}


def perl_tests():
    """Names of the test files on the disk, from the source that they are from; without those that start perl again and
    again, which takes minutes."""
    source = sorted((guest.CACHE / "deb").glob("perl_*.orig.tar.*"))[-1]
    names = []
    with tarfile.open(source) as tar:
        for member in tar:
            parts = member.name.split("/")[1:]
            if parts[:1] == ["t"] and parts[1:2] and parts[1] in PERL_FOLDERS and parts[-1].endswith(".t") and \
                    not PERL_LEFT.search(parts[-1]) and not PERL_SLOW.search(tar.extractfile(member).read()):
                names.append("/".join(parts[1:]))
    return sorted(names)


def prepare_perl(seed, inputs, expected):
    (inputs / "program.pl").write_bytes((FOLDER / "program.pl").read_bytes())
    on_host("perl", seed, {"FILES": ""}, inputs, expected)
    return {"FILES": " ".join(random.Random(seed).sample(perl_tests(), PERL_AT_ONCE))}


PREPARE = {"gcc": prepare_gcc, "openssl": prepare_openssl, "stress": prepare_stress, "python": prepare_python,
           "perl": prepare_perl}


# ---- scripts ----
def script(program, seed, words):
    head, body, tail = ((FOLDER / f"{name}.sh").read_text(encoding="utf-8") for name in ("head", program, "tail"))
    given = "".join(f"export {name}='{value}'\n" for name, value in {"SEED": seed, **words}.items())
    first, rest = head.split("\n", 1)
    return f"{first}\n{given}{rest}{body}{tail}"


def on_host(program, seed, words, inputs, expected):
    """The script of the guest here, for what it must put out; its inputs stay as they are."""
    copy = inputs.with_name("copy")
    run("cp", "-r", inputs, copy)
    done = subprocess.run(["sh", "-c", script(program, seed, words)], cwd=copy, stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, check=False, env=dict(os.environ, IN=str(copy), OUT=str(expected),
                                                                     PATH="/usr/bin:/bin", LC_ALL="C"))
    run("rm", "-r", copy)
    if done.returncode or "FAILED" in done.stdout or "steps done" not in done.stdout:
        sys.exit(f"programs.py: {program} fails on the host itself:\n{done.stdout}{done.stderr}")
