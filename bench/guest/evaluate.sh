#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs inside the guest, from the Debian disk or from the initramfs: unpacks the archive disk, runs the
# programs of PLAN (words NAME:SIZE) one after the other and tells the host when each begins and ends.
#
#   UMBRA-EVAL begin NAME
#   UMBRA-EVAL end NAME STATUS SECONDS CHECKSUM    by the guest's clock; checksum of what it printed
#   UMBRA-EVAL value NAME METRIC VALUE             what the program measured itself
#   UMBRA-EVAL done
PLAN=''

# On the host itself (columns native and qemu-arm) the folder is there, with everything unpacked.
mkdir -p "${EVAL_FOLDER:=/tmp/eval}" && cd "$EVAL_FOLDER" || exit 1
PATH=$PATH:/usr/games
for disk in /dev/vd?; do
    if [ "$(dd if="$disk" bs=1 skip=257 count=5 2>/dev/null)" = ustar ]; then
        tar xf "$disk"
    fi
done

repeat() { # N COMMAND...
    n=$1
    shift
    while [ "$n" -gt 0 ]; do
        "$@" || return
        n=$((n - 1))
    done
}
solve_flow() { glpsol --mincost flow -o solution >log && grep Objective solution; }

# Likenesses of CINT2006 members, with the number of the member.
run_perl() { perl work.pl "$1"; }                          # 400
run_bzip2() { repeat "$1" cat text | bzip2 -9c | cksum; }  # 401
run_cc1() { gcc -O2 -S -o - big.c | grep -v '\.ident'; }   # 403
run_mcf() { repeat "$1" solve_flow; }                      # 429: network simplex
run_gnugo() {                                              # 445
    gnugo --seed 1 --level 8 --boardsize 13 --benchmark "$1" >log 2>&1 && grep -v seconds log
}
run_hmmer() {                                              # 456
    hmm2build -F family.hmm family.sto >/dev/null && hmm2search family.hmm sequences.fa
}
run_phalanx() {                                            # 458
    { echo 'depth 8'; head -n "$1" positions; echo quit; } |
        phalanx -b- -l- -o- -x- >log && grep PV log
}
run_quantum() { ./compute quantum "$1"; }                  # 462
run_x264() {                                               # 464
    x264 --quiet --no-progress --threads 1 --qp 26 -o film.264 film.y4m && cksum <film.264
}
run_events() { ./compute events "$1"; }                    # 471
run_astar() { ./compute astar "$1"; }                      # 473
run_xslt() { xsltproc transform.xsl document.xml; }        # 483
run_gzip() { repeat "$1" cat text | gzip -9c | cksum; }
run_chase() { ./compute chase "$1"; }
run_memcpy() { ./compute memcpy "$1"; }

# Programs of today, and arithmetic of our own.
run_aes() { repeat "$1" encrypt -aes-128-cbc; }
run_chacha() { repeat "$1" encrypt -chacha20; }
encrypt() { # CIPHER
    openssl enc "$1" -K 000102030405060708090a0b0c0d0e0f -iv 0f0e0d0c0b0a09080706050403020100 \
        -in text | cksum
}
run_sha256() { repeat "$1" openssl dgst -sha256 text; }
run_rsa() { repeat "$1" sign && openssl dgst -sha256 -prverify key.pem -signature signature text; }
sign() { openssl dgst -sha256 -sign key.pem -out signature text; }
run_zstd() { repeat "$1" zstd -q -9 -c text | cksum; }
run_xz() { repeat "$1" xz -6 -c text | cksum; }
run_python() { python3 work.py "$1"; }
run_sqlite() { sed "s/@SIZE@/$1/" work.sql | sqlite3 :memory:; }
run_sb_cpu() { quiet_sysbench cpu --events="$1" --cpu-max-prime=5000; }
run_sb_memory() { quiet_sysbench memory --memory-total-size="$1M"; }
run_sb_threads() { quiet_sysbench threads --events="$1" --threads=4; }
run_sb_mutex() { quiet_sysbench mutex --mutex-locks="$1" --threads=4; }
quiet_sysbench() { sysbench "$@" --time=0 run >log || cat log; }
run_core() { ./numeric core "$1"; }
run_records() { ./numeric records "$1"; }
run_filter() { ./numeric filter "$1"; }
run_matrix() { ./numeric matrix "$1"; }
run_fft() { ./numeric fft "$1"; }

# The process-heavy set: what it prints is not the same each time, so it prints nothing.
run_forkexec() { repeat "$1" /bin/true; }
run_subshell() { repeat "$1" subshell; } # fork without exec: copy-on-write of a shell
subshell() { (:); }
stressor() { # NAME OPERATIONS [OPTION...]: a fixed amount of work
    name=$1 operations=$2
    shift 2
    stress-ng --quiet --oomable --temp-path /tmp "--$name" 1 "--$name-ops" "$operations" "$@"
}
run_fork() { stressor fork "$1"; }
run_mmapfork() { stressor mmapfork "$1"; }
run_switch() { stressor switch "$1"; }
run_mremap() { stressor mremap "$1" --mremap-bytes 4M; }
run_hackbench() { hackbench -g 2 -f 5 -l "$1" >/dev/null; }
run_make() { build 2 "$1"; }
build() { # JOBS UNITS: parallel compilation
    rm -rf tree && mkdir tree || return 1
    i=0
    while [ $i -lt "$2" ]; do
        cp unit.c tree/unit$i.c
        i=$((i + 1))
    done
    # shellcheck disable=SC2016 # make expands them
    printf 'all: $(patsubst %%.c,%%.o,$(wildcard tree/*.c))\n' >Makefile
    make -s -j"$1" CFLAGS=-O1 all
}

# The same work by one and by two threads.
run_make1() { build 1 "$1"; }
run_make2() { build 2 "$1"; }
run_cpu1() { quiet_sysbench cpu --events="$1" --cpu-max-prime=5000 --threads=1; }
run_cpu2() { quiet_sysbench cpu --events="$1" --cpu-max-prime=5000 --threads=2; }
run_memory1() { quiet_sysbench memory --memory-total-size="$1M" --threads=1; }
run_memory2() { quiet_sysbench memory --memory-total-size="$1M" --threads=2; }
run_threads1() { quiet_sysbench threads --events="$1" --threads=1; }
run_threads2() { quiet_sysbench threads --events="$1" --threads=2; }
run_mutex1() { quiet_sysbench mutex --mutex-locks="$1" --threads=1; }
run_mutex2() { quiet_sysbench mutex --mutex-locks="$(($1 / 2))" --threads=2; } # the number is of each thread

# What measures itself: SIZE is in milliseconds.
run_shootdown() { ./shootdown "$(milliseconds "$1")"; }
run_syscalls() { ./syscalls "$(milliseconds "$1")"; }
milliseconds() { echo "$(($1 / 1000)).$(printf %03d $(($1 % 1000)))"; }

now() { # hundredths of a second since the machine started; no process is started for it
    read -r up _ </proc/uptime
    time=${up%.*}${up#*.}
    time=${time#0} && time=${time#0} # 0.98 is no octal number
}

# Before the clock starts: neither number of threads is the first to meet cold code and caches, on either CPU.
warm() { # NAME SIZE
    case $1 in
        make[12] | cpu[12] | memory[12] | threads[12] | mutex[12]) "run_${1%?}2" "$(($2 / 4 + 2))" >warm 2>&1 ;;
    esac
}

for item in $PLAN; do
    name=${item%%:*}
    warm "$name" "${item#*:}"
    echo "UMBRA-EVAL begin $name"
    now
    begin=$time
    "run_$name" "${item#*:}" >output 2>errors
    status=$?
    now
    echo "UMBRA-EVAL end $name $status $(((time - begin) / 100)).$(printf %02d $(((time - begin) % 100)))" \
        "$(md5sum <output | cut -c 1-8)"
    case $name in
        shootdown | syscalls) sed "s/^/UMBRA-EVAL value $name /" output ;;
    esac
    [ "$status" = 0 ] || { tail -n 5 output; tail -n 10 errors; }
    sleep 0.1
done
echo "UMBRA-EVAL done"
