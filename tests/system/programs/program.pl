# SPDX-License-Identifier: MIT
#
# Strings, numbers, patterns and modules of perl; the same text on every machine.
use strict;
use warnings;
use feature 'fc';
use Digest::SHA qw(sha512_hex);
use Digest::MD5 qw(md5_hex);
use List::Util qw(reduce shuffle sum max);
use Math::BigInt;
use MIME::Base64;
use Storable qw(freeze thaw);
use Time::Local qw(timegm);

srand(my $seed = shift);
my @numbers = map { int(rand(2**31)) } 1 .. 400;
my @reals = map { (rand() - 0.5) * 2**int(rand(180) - 90) } 1 .. 400;

printf "%d %u %x %o %b\n", $_, $_, $_, $_, $_ for @numbers[0 .. 40];
printf "%.17g %e %.3f %a %s\n", $_, $_, $_, $_, $_ for @reals[0 .. 200];
for my $i (0 .. 200) {
    my ($x, $y) = @numbers[$i, $i + 1];
    $y ||= 1;
    printf "%d %d %d %u %u %s %s\n", $x % $y, -$x % $y, $x * $y, $x ^ $y, ~$x, $x / $y, $x ** 2 / $y;
    my ($r, $s) = @reals[$i, $i + 1];
    printf "%.17g %.17g %.17g %.17g %s\n", $r + $s, $r * $s, $s ? $r / $s : 0, sqrt(abs $r), $r <=> $s;
}

my %count;
my $text = join ' ', map { join '', map { chr(97 + $_ % 26) } split //, $_ } @numbers;
$count{$1}++ while $text =~ /\b([a-j]+[e-h]{2})/g;
print "$_=$count{$_}\n" for sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
(my $other = $text) =~ s/(\w+) (\w+)/\u$2 \U$1\E/g;
$other =~ tr/a-mA-M/n-zN-Z/;
print md5_hex($other), ' ', sha512_hex($text), "\n", encode_base64(substr($text, 0, 300));
print scalar(() = $text =~ /(?<=[aeiou])(?!\w*[xyz]\b)\w{3,}?(?=\b)/g), "\n";

my $big = reduce { $a * $b } map { Math::BigInt->new($_ | 1) } @numbers[0 .. 60];
print "$big\n", $big->copy->bmodpow(12345, Math::BigInt->new('1000000000000000000000007')), "\n";
print Math::BigInt->new(2)->bpow(521)->bsub(1)->bstr, "\n";

my $tree = {};
for my $n (@numbers) {
    my $node = $tree;
    $node = $node->{$_} //= {} for split //, sprintf '%x', $n;
    $node->{end}++;
}
sub depth { my $n = shift; ref $n ? 1 + max(0, map { depth($_) } values %$n) : 0 }
print depth(thaw(freeze($tree))), "\n";
print unpack('H*', pack('w/a N n v V Q> q< f< d>', 'abc', @numbers[0 .. 5], @reals[0, 1])), "\n";
print join(',', sort { $a <=> $b } @numbers), "\n", join(',', sort map { "$_" } @reals), "\n";
print join(',', map { scalar gmtime($_) } @numbers[0 .. 30]), ' ', timegm(1, 2, 3, 4, 5, 2026), "\n";
my $wide = join '', map { chr(0x100 + $_ % 0x2000) } @numbers;
print length(uc $wide), ' ', length(lc $wide), ' ', sum(map { ord } split //, fc $wide), "\n";
print sum(map { length eval "qr/\$_/" } map { '(' x ($_ % 9) . 'a' . ')' x ($_ % 9) . '{1,3}' } @numbers), "\n";
