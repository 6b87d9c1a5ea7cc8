# SPDX-License-Identifier: MIT
"""What is measured: the table of programs, and the input files that they get.

Inputs are made here, the same on every host: text, a C file, an XML document, a film, a network of flows,
protein sequences, chess positions. bench/guest/evaluate.sh has the commands.
"""
import collections
import io
import math
import os
import random
import shutil
import subprocess
import tarfile

GUEST = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "guest")

# size: of the work at length 1, in the program's own unit (evaluate.sh); seconds: what that takes in -mmu soft on
# a quiet 2-core host, used only to plan; smp: CPUs of the guest, if not what --smp says; chunk: programs
# with the same chunk share a boot.
Program = collections.namedtuple("Program", "set chunk size seconds smp")
PROGRAMS = {
    "perl": Program("compute", 0, 550, 12, None),
    "bzip2": Program("compute", 0, 28, 12, None),
    "cc1": Program("compute", 0, 110, 12, None),
    "mcf": Program("compute", 1, 12, 12, None),
    "gnugo": Program("compute", 1, 14, 12, None),
    "hmmer": Program("compute", 1, 30, 12, None),
    "phalanx": Program("compute", 2, 20, 12, None),
    "quantum": Program("compute", 2, 6000, 12, None),
    "x264": Program("compute", 2, 240, 12, None),
    "events": Program("compute", 3, 16000, 12, None),
    "astar": Program("compute", 3, 1000, 12, None),
    "xslt": Program("compute", 3, 45000, 12, None),
    "gzip": Program("compute", 4, 75, 12, None),
    "chase": Program("compute", 4, 950000, 12, None),
    "memcpy": Program("compute", 4, 3700, 12, None),
    "core": Program("numeric", 0, 60000, 6, None),
    "records": Program("numeric", 0, 40000, 6, None),
    "filter": Program("numeric", 0, 8000, 6, None),
    "matrix": Program("numeric", 0, 300, 6, None),
    "fft": Program("numeric", 0, 3000, 6, None),
    "aes": Program("tools", 0, 150, 6, None),
    "chacha": Program("tools", 0, 150, 6, None),
    "sha256": Program("tools", 0, 100, 6, None),
    "rsa": Program("tools", 0, 40, 6, None),
    "zstd": Program("tools", 1, 30, 6, None),
    "xz": Program("tools", 1, 8, 6, None),
    "python": Program("tools", 1, 40, 6, None),
    "sqlite": Program("tools", 1, 60000, 6, None),
    "sb_cpu": Program("tools", 2, 4000, 6, None),
    "sb_memory": Program("tools", 2, 8000, 6, None),
    "sb_threads": Program("tools", 3, 4000, 6, 2),
    "sb_mutex": Program("tools", 3, 100000, 6, 2),
    **{f"{name}{n}": Program("parallel", chunk, size, seconds, 2) for chunk, (name, size, seconds) in enumerate((
        ("make", 12, 10), ("cpu", 4000, 6), ("memory", 8000, 6), ("threads", 4000, 6), ("mutex", 400000, 6))) for n in (1, 2)},
    "boot": Program("process", 0, 1, 3, None),
    "forkexec": Program("process", 1, 500, 5, None),
    "subshell": Program("process", 1, 900, 5, None),
    "hackbench": Program("process", 1, 450, 5, None),
    "fork": Program("process", 2, 550, 5, None),
    "mmapfork": Program("process", 2, 1, 4, None),
    "switch": Program("process", 2, 50000, 5, None),
    "mremap": Program("process", 2, 120, 5, None),
    "make": Program("process", 3, 12, 6, 2),
    "shootdown": Program("shootdown", 0, 1500, 8, None),
    "syscalls": Program("pan", 0, 2000, 6, None),
}
# One piece of work each, by one and by two threads or jobs.
PARALLEL = ("make", "cpu", "memory", "threads", "mutex")
# What must be the same in every mode, bit for bit.
DETERMINISTIC = {name for name, p in PROGRAMS.items() if p.set in ("compute", "numeric") or
                 name in ("aes", "chacha", "sha256", "rsa", "zstd", "xz", "python", "sqlite")}
# What runs on the host too, natively and by user-mode emulation, and the commands it needs there.
HOST_NEEDS = {"cc1": "gcc", "mcf": "glpsol", "gnugo": "gnugo", "hmmer": "hmm2build hmm2search", "phalanx": "phalanx",
              "x264": "x264", "xslt": "xsltproc",
              "core": "sh", "records": "sh", "filter": "sh", "matrix": "sh", "fft": "sh", "chase": "sh", "memcpy": "sh",
              "quantum": "sh", "events": "sh", "astar": "sh", "perl": "perl", "bzip2": "bzip2", "gzip": "gzip",
              "aes": "openssl", "chacha": "openssl", "sha256": "openssl", "rsa": "openssl", "zstd": "zstd", "xz": "xz",
              "python": "python3", "sqlite": "sqlite3", "sb_cpu": "sysbench", "sb_memory": "sysbench",
              "sb_threads": "sysbench", "sb_mutex": "sysbench",
              **{f"{name}{n}": "make" if name == "make" else "sysbench" for name in PARALLEL for n in (1, 2)}}
OWN = ("compute", "syscalls", "shootdown", "numeric")
# No size but 1 makes sense, or the size is not of work: not scaled below these.
LEAST = {"boot": 1, "mcf": 1, "gnugo": 1, "phalanx": 1, "mmapfork": 1, "make": 2, "make1": 4, "make2": 4, "shootdown": 200, "syscalls": 200}
NEEDS_DISK = {"compute": True, "numeric": False, "tools": True, "process": True, "parallel": True, "shootdown": False, "pan": False}


def size_of(name, length):
    """The work of a program at this length."""
    if name == "boot":
        return 1
    return max(LEAST.get(name, 1), round(PROGRAMS[name].size * length))


def text(rng, size):
    lines, have = [], 0
    words = ["".join(rng.choice("etaoinshrdlu") for _ in range(rng.randrange(2, 9))) for _ in range(2000)]
    while have < size:
        line = " ".join(words[int(2000 * rng.random() ** 3)] for _ in range(10)) + f" {rng.randrange(10**6)}\n"
        lines.append(line)
        have += len(line)
    return "".join(lines)[:size]


def c_source(functions):
    out = []
    for i in range(functions):
        out.append(f"""int f{i}(int a, int *p, unsigned n)
{{
    int s = a;
    for (unsigned k = 0; k < n; k++) {{
        if (p[k] % {i + 2} == s)
            s += p[k] * {i};
        else
            s ^= p[(k * {i + 3}) % n] >> (k & 7);
    }}
    switch (s & 7) {{
    case 0: return s + 1;
    case 1: return p[0];
    case 2: return -s;
    default: return s * {i};
    }}
}}
""")
    return "".join(out)


PERL = r"""
my (%count, @words);
for my $i (1 .. 1000 * $ARGV[0]) {
    my $w = join "", map { chr(97 + ($i * $_ * 7919) % 26) } 1 .. 5;
    $count{$w}++;
    push @words, $w if $w =~ /^[a-m].*[xyz]/;
}
my $s = join ",", sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
print length($s), " ", scalar(@words), "\n";
"""

PYTHON = r"""
import json, re, sys

class Node:
    def __init__(self, key):
        self.key, self.left, self.right = key, None, None

def insert(root, key):
    while True:
        if key == root.key:
            return
        side = "left" if key < root.key else "right"
        child = getattr(root, side)
        if child is None:
            setattr(root, side, Node(key))
            return
        root = child

def depth(node):
    return 0 if node is None else 1 + max(depth(node.left), depth(node.right))

total, seed = 0, 1
for n in range(int(sys.argv[1])):
    words = {}
    root = Node(1 << 15)
    for i in range(2000):
        seed = (seed * 1103515245 + 12345) & 0x7fffffff
        insert(root, seed & 0xffff)
        words.setdefault("%x" % (seed >> 20), []).append(i)
    text = json.dumps(words, sort_keys=True)
    total += depth(root) + len(re.findall(r"[a-f]+[0-9]", text)) + sum(map(len, json.loads(text)))
print(total)
"""

SQL = """create table t (id integer primary key, a integer, b text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < @SIZE@)
    insert into t select i, (i * 7919) % 10007, 'row ' || (i * 31 % 4099) from n;
create index t_a on t (a);
select count(*), sum(x.id) from t x join t y on x.a = y.a and x.id < y.id where x.a < 2000;
select b, count(*), max(a) from t group by b order by 2 desc, 1 limit 5;
update t set a = a + 1 where id % 3 = 0;
delete from t where b like '%7%';
select count(*), sum(a) from t;
"""

XSL = """<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:output method="html"/>
<xsl:key name="group" match="item" use="@group"/>
<xsl:key name="id" match="item" use="@id"/>
<xsl:template match="/items"><html>
<xsl:for-each select="item[generate-id() = generate-id(key('group', @group)[1])]">
<xsl:sort select="@group" data-type="number"/>
<h1><xsl:value-of select="@group"/>: <xsl:value-of select="sum(key('group', @group)/price)"/></h1>
<table><xsl:for-each select="key('group', @group)"><xsl:sort select="name"/>
<xsl:apply-templates select="."/></xsl:for-each></table>
</xsl:for-each></html></xsl:template>
<xsl:template match="item"><tr>
<td><xsl:value-of select="translate(name, '0123456789', 'abcdefghij')"/></td>
<td><xsl:value-of select="key('id', ref/@to)/name"/></td>
<td><xsl:if test="contains(name, '77')"><b><xsl:value-of select="substring-after(name, '77')"/></b></xsl:if>
<xsl:value-of select="format-number(price * 1.19, '#.00')"/></td>
</tr></xsl:template>
</xsl:stylesheet>
"""


def xml_document(rng, items):
    out = ["<items>"]
    for i in range(items):
        out.append(f'<item id="i{i}" group="{rng.randrange(max(8, items // 100))}"><name>n{rng.randrange(10**6)}</name>'
                   f'<price>{rng.randrange(10**4)}</price><ref to="i{rng.randrange(items)}"/></item>\n')
    return "".join(out) + "</items>\n"


def film(rng, frames, width=320, height=192):
    """A camera that moves over a noisy texture, in the uncompressed y4m format."""
    rows = [bytes(int((math.sin(x * .11) + math.sin(y * .07 + x * .03)) * 45 + rng.randrange(24) + 110)
                  for x in range(2 * width)) for y in range(2 * height)]
    out = [b"YUV4MPEG2 W%d H%d F25:1 Ip A1:1 C420jpeg\n" % (width, height)]
    for f in range(frames):
        dx, dy = f * 3 % width, f * 2 % height
        out.append(b"FRAME\n" + b"".join(rows[y + dy][dx:dx + width] for y in range(height)) +
                   bytes([128]) * (width * height // 2))
    return b"".join(out)


def flow(rng, nodes=900):
    """A minimum-cost flow problem in DIMACS format, with a way around for all that does not fit."""
    arcs = [(i, rng.randrange(i + 1, min(nodes, i + nodes // 8) + 1), rng.randrange(5, 60), rng.randrange(1, 1000))
            for i in range(1, nodes) for _ in range(6)]
    return "".join([f"p min {nodes} {len(arcs) + 1}\nn 1 100\nn {nodes} -100\n"] +
                   ["a %d %d 0 %d %d\n" % arc for arc in arcs] + [f"a 1 {nodes} 0 100 1000000\n"])


def proteins(rng, hundreds):
    letters = "ACDEFGHIKLMNPQRSTVWY"
    base = [rng.choice(letters) for _ in range(180)]
    family = "".join(f"seq{i} " + "".join(c if rng.random() < .8 else rng.choice(letters) for c in base) + "\n"
                     for i in range(12))
    sequences = "".join(f">s{i}\n" + "".join(rng.choices(letters, k=300)) + "\n" for i in range(100 * hundreds))
    return f"# STOCKHOLM 1.0\n\n{family}//\n", sequences


# Middle games by random legal-looking structure would not do: known positions.
POSITIONS = """r1bqkbnr/pppp1ppp/2n5/1B2p3/4P3/5N2/PPPP1PPP/RNBQK2R b KQkq - 3 3
rnbqkb1r/pp2pppp/3p1n2/8/3NP3/8/PPP2PPP/RNBQKB1R w KQkq - 1 5
r1bq1rk1/pp2ppbp/2np1np1/8/3NP3/2N1BP2/PPPQ2PP/R3KB1R w KQ - 3 9
r2q1rk1/1bppbppp/p1n2n2/1p2p3/4P3/1B3N2/PPPP1PPP/RNBQR1K1 w - - 4 9
8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1
r4rk1/1pp1qppp/p1np1n2/2b1p1B1/2B1P1b1/P1NP1N2/1PP1QPPP/R4RK1 w - - 0 10
"""


def make_key():
    """An RSA key; programs print only whether a signature is right."""
    made = subprocess.run(["openssl", "genrsa", "3072"], capture_output=True, text=True, check=False) \
        if shutil.which("openssl") else None
    return made.stdout.encode() if made and made.returncode == 0 else b""


def inputs(length):
    """{name: bytes} of every file the programs read."""
    rng = random.Random(7)
    family, sequences = proteins(rng, size_of("hmmer", length))
    plain = {"work.pl": PERL, "big.c": c_source(size_of("cc1", length)), "unit.c": c_source(6), "transform.xsl": XSL,
             "document.xml": xml_document(rng, size_of("xslt", length)), "work.py": PYTHON, "work.sql": SQL, "flow": flow(rng), "family.sto": family,
             "sequences.fa": sequences, "positions": POSITIONS * 4,
             "text": text(rng, 500_000)}
    files = {name: content.encode() for name, content in plain.items()}
    files["film.y4m"] = film(rng, size_of("x264", length))
    return files


def compile_guest_programs(folder, compiler=None):
    """For the guest; with the name of a compiler: for the host."""
    flags = ["-O2", "-static", "-pthread", "-ffp-contract=off"]
    for name in OWN if compiler is None else ("compute", "numeric"):
        arm = os.environ.get("UMBRA_ARM_CC", "arm-linux-gnueabihf-gcc")
        neon = ["-mfpu=neon"] if compiler is None and name == "numeric" else []
        subprocess.run([compiler or arm, *flags, *neon, "-o", os.path.join(folder, name),
                        os.path.join(GUEST, name + ".c")], check=True)


def write_archive(path, folder, length, with_inputs):
    """The disk that the guest unpacks: a tar file padded to whole pages."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name in OWN:
            tar.add(os.path.join(folder, name), name)
        for name, content in ({**inputs(length), "key.pem": make_key()} if with_inputs else {}).items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    with open(path, "ab") as f:
        f.truncate((os.path.getsize(path) + 4095) // 4096 * 4096)


def write_script(path, plan):
    with open(os.path.join(GUEST, "evaluate.sh"), encoding="utf-8") as f:
        script = f.read()
    write_padded(path, script.replace("PLAN=''", f"PLAN='{plan}'", 1))


def write_padded(path, text):
    """A script as a disk: zeros up to a whole page."""
    data = text.encode()
    with open(path, "wb") as f:
        f.write(data + b"\0" * (4096 - len(data) % 4096))
