# shellcheck shell=sh
# SPDX-License-Identifier: MIT
#
# Files of perl's own tests, from its source, and a program whose output is compared. FILES: words.

# shellcheck disable=SC2016 # sh expands them
step "perl program" sh -c 'perl program.pl "$SEED" >"$OUT/program"'
[ -d /usr/src/perl/t ] || FILES='' # on the host

# The tests want the modules beside them and nowhere else.
gather() {
    mkdir -p /usr/src/perl/lib && ln -s /usr/bin/perl /usr/src/perl/t/perl && ln -s /usr/bin/perl /usr/src/perl/perl
    for folder in /usr/share/perl/5.* /usr/lib/*/perl/5.* /usr/lib/*/perl-base; do
        [ -L "$folder" ] || cp -rs "$folder/." /usr/src/perl/lib/ 2>/dev/null || :
    done
    [ -e /usr/src/perl/lib/strict.pm ]
}
export PERL_SKIP_TTY_TEST=1 # there is no controlling terminal
if [ -n "$FILES" ]; then
    step gather gather
    cd /usr/src/perl/t || exit 1
fi
for file in $FILES; do
    step "perl $file" prove --merge --exec ./perl "$file"
done
