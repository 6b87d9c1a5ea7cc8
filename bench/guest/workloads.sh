#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs inside the guest: prepares the workloads, times each, and prints "UMBRA-BENCH name seconds".
# WORK is a list of names; what runs is the same on every emulator.
WORK=${WORK:-"chase memcpy gzip perl cc1 forkexec"}
cd /tmp || exit 1

now() { # seconds with nanoseconds, from the guest's own clock
    read -r up _ </proc/uptime
    echo "$up"
}

prepare() {
    cat >bench.c <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void chase(void)
{
    enum { N = 1 << 18 }; /* 1 MiB of indices in random cycle order */
    static unsigned next[N];
    unsigned i, seed = 1, at = 0, n;
    for (i = 0; i < N; i++)
        next[i] = i;
    for (i = N - 1; i > 0; i--) { /* Sattolo: one cycle */
        unsigned j = (seed = seed * 1103515245u + 12345u) / 65536u % i, t = next[i];
        next[i] = next[j];
        next[j] = t;
    }
    for (n = 0; n < 100000000u; n++)
        at = next[at];
    printf("chase %u\n", at);
}
static void copy(void)
{
    size_t len = 8u << 20;
    char *a = malloc(len), *b = malloc(len);
    memset(a, 1, len);
    for (int i = 0; i < 400; i++)
        memcpy(i & 1 ? a : b, i & 1 ? b : a, len);
    printf("memcpy %d\n", b[12345]);
}
int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "chase"))
        chase();
    else
        copy();
    return 0;
}
C
    gcc -O2 -o bench bench.c
    awk 'BEGIN { for (i = 0; i < 120; i++) {
        printf "int f%d(int a, int *p, unsigned n)\n{\n    int s = a;\n", i
        printf "    for (unsigned k = 0; k < n; k++) {\n        if (p[k] %% %d == s)\n", i + 2
        printf "            s += p[k] * %d;\n        else\n", i
        printf "            s ^= p[(k * %d) %% n] >> (k & 7);\n    }\n", i + 3
        printf "    switch (s & 7) {\n    case 0: return s + 1;\n    case 1: return p[0];\n"
        printf "    case 2: return -s;\n    default: return s * %d;\n    }\n}\n", i } }' >big.c
    perl -e 'srand 7; print join(" ", map { int rand 1e6 } 1 .. 20), "\n" for 1 .. 60000' >text
    cat >work.pl <<'PL'
my (%count, @words);
for my $i (1 .. 220000) {
    my $w = join "", map { chr(97 + ($i * $_ * 7919) % 26) } 1 .. 5;
    $count{$w}++;
    push @words, $w if $w =~ /^[a-m].*[xyz]/;
}
my $s = join ",", sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
print length($s), " ", scalar(@words), "\n";
PL
}

run_chase() { ./bench chase; }
run_memcpy() { ./bench memcpy; }
run_gzip() { gzip -9c <text | wc -c; }
run_perl() { perl work.pl; }
run_cc1() { gcc -O2 -S -o /dev/null big.c; }
run_forkexec() {
    i=0
    while [ $i -lt 500 ]; do
        /bin/true
        i=$((i + 1))
    done
}

run_subshell() { # fork without exec: copy-on-write of a shell
    i=0
    while [ $i -lt 500 ]; do
        (:)
        i=$((i + 1))
    done
}
# A fixed number of operations of one stressor each.
stressor() { stress-ng --quiet --"$1" 1 --"$1"-ops "$2"; }
run_sfork() { stressor fork 800; }
run_sswitch() { stressor switch 60000; }
run_smmap() { stressor mmap 12; }
run_smremap() { stressor mremap 150; }

prepare
echo UMBRA-BEGIN
for name in $WORK; do
    start=$(now)
    "run_$name" >/dev/null
    end=$(now)
    echo "UMBRA-BENCH $name $(awk "BEGIN { print $end - $start }")"
done
echo "UMBRA-BENCH done 0"
