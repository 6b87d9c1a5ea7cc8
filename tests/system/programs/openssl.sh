# shellcheck shell=sh
# SPDX-License-Identifier: MIT
#
# Digests, ciphers, keys and signatures: what is deterministic is compared, what is random must come back. TAGS: with
# NEON (neon) and without (-scalar); KEY, IV, MACKEY: hexadecimal; NUMBERS: to be tested for primality.

digests='md5 sha1 sha224 sha256 sha384 sha512 sha512-256 sha3-224 sha3-256 sha3-384 sha3-512 shake128 shake256
blake2b512 blake2s256 ripemd160 sm3'
ciphers='aes-128-cbc aes-192-cbc aes-256-cbc aes-128-ctr aes-256-ctr aes-128-ecb aes-128-cfb aes-256-ofb
camellia-128-cbc camellia-256-ctr aria-128-cbc aria-256-ctr chacha20 des-ede3-cbc sm4-cbc'
macs='CMAC:cipher:AES-128-CBC HMAC:digest:SHA256 HMAC:digest:SHA3-256 HMAC:digest:SHA512'

digest() { # TAG
    for name in $digests; do
        openssl dgst "-$name" data.* >"$OUT/dgst-$name$1" || return
    done
}
cipher() { # TAG
    for name in $ciphers; do
        openssl enc "-$name" -K "$KEY" -iv "$IV" -in data.large 2>/dev/null >sealed || return
        sha256sum <sealed >"$OUT/enc-$name$1"
        openssl enc -d "-$name" -K "$KEY" -iv "$IV" -in sealed 2>/dev/null | cmp - data.large || return
        openssl enc "-$name" -pbkdf2 -iter 2000 -k "$SEED" -in data.odd 2>/dev/null |
            openssl enc -d "-$name" -pbkdf2 -iter 2000 -k "$SEED" 2>/dev/null | cmp - data.odd || return
    done
}
mac() { # TAG
    for item in $macs; do
        key=${item#*:} && key=${key#*:}
        openssl mac -macopt "${item#*:}" -macopt "hexkey:$MACKEY" -in data.large "${item%%:*}" >"$OUT/mac-$key$1" || return
    done 2>/dev/null
}
derive() { # TAG
    openssl kdf -keylen 64 -kdfopt digest:SHA256 -kdfopt "pass:$SEED" -kdfopt salt:umbra -kdfopt iter:4000 PBKDF2 \
        >"$OUT/pbkdf2$1" || return
    openssl kdf -keylen 64 -kdfopt "pass:$SEED" -kdfopt salt:umbra -kdfopt n:1024 -kdfopt r:8 -kdfopt p:2 SCRYPT \
        >"$OUT/scrypt$1" || return
    for key in x25519 p256; do
        openssl pkey -in $key.pem -pubout -out public || return
        openssl pkeyutl -derive -inkey $key.pem -peerkey public >"$OUT/derive-$key$1" || return
    done
}
sign() { # TAG
    openssl dgst -sha256 -sign rsa.pem -out "$OUT/rsa$1" data.odd || return
    openssl dgst -sha256 -prverify rsa.pem -signature "$OUT/rsa$1" data.odd || return
    for key in ed25519 ed448; do
        openssl pkeyutl -sign -rawin -inkey $key.pem -in data.odd -out "$OUT/$key$1" || return
        openssl pkey -in $key.pem -pubout -out public || return
        openssl pkeyutl -verify -rawin -pubin -inkey public -in data.odd -sigfile "$OUT/$key$1" || return
    done
    for key in p256 p384 p521 k256; do
        openssl dgst -sha512 -sign $key.pem -out signature data.odd || return
        openssl dgst -sha512 -prverify $key.pem -signature signature data.odd || return
        # The signature that the host made.
        openssl dgst -sha512 -prverify $key.pem -signature $key.signature data.odd || return
    done
    openssl pkeyutl -encrypt -inkey rsa.pem -pkeyopt rsa_padding_mode:oaep -in data.short -out sealed || return
    openssl pkeyutl -decrypt -inkey rsa.pem -pkeyopt rsa_padding_mode:oaep -in sealed | cmp - data.short
}
make_keys() {
    openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out made.pem || return
    openssl pkey -in made.pem -check -noout || return
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out made.pem || return
    openssl pkey -in made.pem -check -noout
}
prime() {
    for number in $NUMBERS; do
        openssl prime "$number" || return
    done >"$OUT/prime"
}

for tag in $TAGS; do
    tag=${tag#neon}
    [ -z "$tag" ] || export OPENSSL_armcap=0
    for name in digest cipher mac derive sign; do
        step "$name$tag" "$name" "$tag"
    done
done
step keys make_keys
step prime prime
