/* SPDX-License-Identifier: MIT */
/*
 * Programs of pure arithmetic. Each prints a number that depends on all it computed; it is the same
 * on every machine with IEEE arithmetic, so that results of emulators and hosts can be compared.
 *
 *   core     what embedded benchmarks do: a linked list sorted and searched, an integer matrix, a
 *            state machine over text, checksums of the results
 *   records  what 1980s benchmarks do: records copied and compared, strings, small calls, divisions
 *   filter   3x3 convolution of an image, 16-bit fixed point: NEON, SSE2 on the host
 *   matrix   product of two matrices of double, blocked
 *   fft      Fourier transform of complex double, radix 2, to and fro
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__ARM_NEON)
#include <arm_neon.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

static uint32_t seed = 1;

static uint32_t next_random(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

static uint16_t crc16(uint16_t crc, uint32_t value)
{
    for (unsigned i = 0; i < 32; i++, value >>= 1) {
        unsigned bit = (crc ^ value) & 1;

        crc >>= 1;
        if (bit) {
            crc ^= 0xa001;
        }
    }
    return crc;
}

/* ---- core ---- */
struct item {
    struct item *next;
    int16_t key, place;
};

static struct item *merge_sort(struct item *list, unsigned n, int by_key)
{
    if (n < 2) {
        if (list) {
            list->next = NULL;
        }
        return list;
    }
    struct item *right = list, head, *tail = &head;

    for (unsigned i = 0; i < n / 2; i++) {
        right = right->next;
    }
    right = merge_sort(right, n - n / 2, by_key);
    list = merge_sort(list, n / 2, by_key);
    while (list && right) {
        int less = by_key ? list->key <= right->key : list->place <= right->place;
        struct item **from = less ? &list : &right;

        tail->next = *from;
        tail = *from;
        *from = (*from)->next;
    }
    tail->next = list ? list : right;
    return head.next;
}

static uint16_t list_round(uint16_t crc, unsigned round)
{
    enum { N = 200 };
    static struct item items[N];

    for (unsigned i = 0; i < N; i++) {
        items[i] = (struct item){i + 1 < N ? &items[i + 1] : NULL,
                                 (int16_t)(next_random() & 0x3ff), (int16_t)i};
    }
    struct item *list = merge_sort(items, N, 1);

    for (struct item *p = list; p; p = p->next) {
        if ((p->key ^ round) & 1) {
            crc = crc16(crc, (uint32_t)p->key);
        }
    }
    list = merge_sort(list, N, 0);
    return crc16(crc, (uint32_t)list->key);
}

static uint16_t matrix_round(uint16_t crc)
{
    enum { N = 24 };
    static int16_t a[N][N], b[N][N];
    static int32_t c[N][N];

    for (unsigned i = 0; i < N * N; i++) {
        a[i / N][i % N] = (int16_t)(next_random() & 0xff);
        b[i / N][i % N] = (int16_t)(next_random() & 0xff);
    }
    for (unsigned i = 0; i < N; i++) {
        for (unsigned j = 0; j < N; j++) {
            int32_t sum = 0;

            for (unsigned k = 0; k < N; k++) {
                sum += a[i][k] * b[k][j];
            }
            c[i][j] = sum >> 2 & 0xffff;
        }
    }
    for (unsigned i = 0; i < N; i++) {
        crc = crc16(crc, (uint32_t)c[i][(i * 7) % N]);
    }
    return crc;
}

enum state { START, SIGN, DIGITS, POINT, EXPONENT, INVALID, STATES };

static enum state step(enum state s, char c)
{
    int digit = c >= '0' && c <= '9';

    switch (s) {
    case START: return digit ? DIGITS : c == '-' || c == '+' ? SIGN : c == '.' ? POINT : INVALID;
    case SIGN: return digit ? DIGITS : c == '.' ? POINT : INVALID;
    case DIGITS: return digit ? DIGITS : c == '.' ? POINT : c == 'e' ? EXPONENT : INVALID;
    case POINT: return digit ? POINT : c == 'e' ? EXPONENT : INVALID;
    case EXPONENT: return digit || c == '-' ? EXPONENT : INVALID;
    default: return INVALID;
    }
}

static uint16_t state_round(uint16_t crc)
{
    static const char text[] = "5012,1234.500,-874.e7,+122,.7e-3,x11,0.00001,1e9e,-,65535,+.2,";
    unsigned ends[STATES] = {0};
    enum state s = START;

    for (unsigned n = 0; n < 20; n++) {
        unsigned flip = next_random() % sizeof text;

        for (unsigned i = 0; i + 1 < sizeof text; i++) {
            char c = i == flip ? 'q' : text[i];

            if (c == ',') {
                ends[s]++;
                s = START;
            } else {
                s = step(s, c);
            }
        }
    }
    for (unsigned i = 0; i < STATES; i++) {
        crc = crc16(crc, ends[i]);
    }
    return crc;
}

static uint32_t core(unsigned rounds)
{
    uint16_t crc = 0;

    for (unsigned i = 0; i < rounds; i++) {
        crc = state_round(matrix_round(list_round(crc, i)));
    }
    return crc;
}

/* ---- records ---- */
struct record {
    struct record *link;
    int kind, small, count;
    char text[32];
};

static __attribute__((noinline)) int same_text(const char *a, const char *b)
{
    int i = 0;

    while (i < 30 && a[i] == b[i]) {
        i++;
    }
    return i > 28;
}

static __attribute__((noinline)) void pass_on(struct record *from, struct record *to)
{
    *to = *from;
    to->kind = from->small > 2 ? 5 : 3;
    to->count += to->kind * from->count % 7 + 1;
    to->link = from;
}

static uint32_t records(unsigned thousands)
{
    static struct record one, two;
    char word[32];
    uint32_t sum = 0;

    strcpy(one.text, "a record's text, first of two..");
    for (unsigned i = 1; i <= thousands * 1000; i++) {
        one.small = (int)(i & 3);
        pass_on(&one, &two);
        strcpy(word, two.text);
        word[i % 31] ^= 1;
        one.count = same_text(word, one.text) ? (int)(i / 3 % 11) : two.count % 13;
        sum = sum * 3 + (uint32_t)(two.count / (one.small + 1)) + (memcmp(word, two.text, 4) != 0);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

/* ---- filter ---- */
enum { WIDTH = 512, HEIGHT = 256 };
static uint8_t image[2][HEIGHT + 2][WIDTH + 16];

/* Eight pixels: (1 2 1; 2 4 2; 1 2 1) / 16, rounded. */
#if defined(__ARM_NEON)
static void blur8(const uint8_t *up, const uint8_t *at, const uint8_t *down, uint8_t *out)
{
    uint16x8_t sum = vaddl_u8(vld1_u8(up - 1), vld1_u8(up + 1));

    sum = vaddw_u8(vaddw_u8(sum, vld1_u8(down - 1)), vld1_u8(down + 1));
    uint16x8_t cross = vaddl_u8(vld1_u8(up), vld1_u8(down));

    cross = vaddw_u8(vaddw_u8(cross, vld1_u8(at - 1)), vld1_u8(at + 1));
    sum = vaddq_u16(sum, vshlq_n_u16(cross, 1));
    sum = vaddq_u16(sum, vshll_n_u8(vld1_u8(at), 2));
    vst1_u8(out, vrshrn_n_u16(sum, 4));
}
#elif defined(__SSE2__)
static __m128i wide(const uint8_t *p)
{
    return _mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i *)p), _mm_setzero_si128());
}

static void blur8(const uint8_t *up, const uint8_t *at, const uint8_t *down, uint8_t *out)
{
    __m128i sum = _mm_add_epi16(_mm_add_epi16(wide(up - 1), wide(up + 1)),
                                _mm_add_epi16(wide(down - 1), wide(down + 1)));
    __m128i cross = _mm_add_epi16(_mm_add_epi16(wide(up), wide(down)),
                                  _mm_add_epi16(wide(at - 1), wide(at + 1)));

    sum = _mm_add_epi16(sum, _mm_slli_epi16(cross, 1));
    sum = _mm_add_epi16(sum, _mm_slli_epi16(wide(at), 2));
    sum = _mm_srli_epi16(_mm_add_epi16(sum, _mm_set1_epi16(8)), 4);
    _mm_storel_epi64((__m128i *)out, _mm_packus_epi16(sum, sum));
}
#else
static void blur8(const uint8_t *up, const uint8_t *at, const uint8_t *down, uint8_t *out)
{
    for (int i = 0; i < 8; i++) {
        unsigned corners = up[i - 1] + up[i + 1] + down[i - 1] + down[i + 1];
        unsigned cross = up[i] + down[i] + at[i - 1] + at[i + 1];

        out[i] = (uint8_t)((corners + 2 * cross + 4 * at[i] + 8) >> 4);
    }
}
#endif

static uint32_t filter(unsigned times)
{
    uint32_t sum = 0;

    for (unsigned y = 0; y < HEIGHT + 2; y++) {
        for (unsigned x = 0; x < WIDTH + 16; x++) {
            image[0][y][x] = image[1][y][x] = (uint8_t)next_random();
        }
    }
    for (unsigned n = 0; n < times; n++) {
        uint8_t(*from)[WIDTH + 16] = image[n & 1], (*to)[WIDTH + 16] = image[~n & 1];

        for (unsigned y = 1; y <= HEIGHT; y++) {
            for (unsigned x = 4; x < WIDTH + 4; x += 8) {
                blur8(&from[y - 1][x], &from[y][x], &from[y + 1][x], &to[y][x]);
            }
        }
        to[1 + next_random() % HEIGHT][4 + next_random() % WIDTH] ^= 0xff;
    }
    for (unsigned y = 0; y < HEIGHT + 2; y++) {
        for (unsigned x = 0; x < WIDTH + 16; x++) {
            sum = sum * 31 + image[times & 1][y][x];
        }
    }
    return sum;
}

/* ---- matrix ---- */
static uint32_t bits_of(double x)
{
    uint64_t v;

    memcpy(&v, &x, sizeof v);
    return (uint32_t)(v ^ v >> 32);
}

static uint32_t matrix(unsigned times)
{
    enum { N = 160, BLOCK = 32 };
    static double a[N][N], b[N][N], c[N][N];
    uint32_t sum = 0;

    for (unsigned i = 0; i < N * N; i++) {
        a[i / N][i % N] = (int)(next_random() & 0xffff) / 4096.0 - 8;
        b[i / N][i % N] = (int)(next_random() & 0xffff) / 8192.0 - 4;
    }
    for (unsigned n = 0; n < times; n++) {
        memset(c, 0, sizeof c);
        for (unsigned kk = 0; kk < N; kk += BLOCK) {
            for (unsigned i = 0; i < N; i++) {
                for (unsigned k = kk; k < kk + BLOCK; k++) {
                    double f = a[i][k];

                    for (unsigned j = 0; j < N; j++) {
                        c[i][j] += f * b[k][j];
                    }
                }
            }
        }
        a[n % N][n * 7 % N] = c[n * 3 % N][n % N] / 65536;
    }
    for (unsigned i = 0; i < N * N; i++) {
        sum = sum * 31 + bits_of(c[i / N][i % N]);
    }
    return sum;
}

/* ---- fft ---- */
enum { POINTS = 4096 };
static double re[POINTS], im[POINTS], root_re[POINTS / 2], root_im[POINTS / 2];

/* Roots of unity by halving angles, for libm differs from machine to machine. */
static double square_root(double x)
{
    double r = x > 1 ? x : 1;

    for (unsigned i = 0; i < 40; i++) {
        r = (r + x / r) / 2;
    }
    return r;
}

static void make_roots(void)
{
    double c = -1, s = 0; /* of 2 pi / size */

    root_re[0] = 1;
    for (unsigned size = 4; size <= POINTS; size *= 2) {
        double half = square_root((1 + c) / 2);

        s = size == 4 ? 1 : s / (2 * half);
        c = size == 4 ? 0 : half;
        unsigned stride = POINTS / size;

        root_re[stride] = c;
        root_im[stride] = -s;
        for (unsigned k = 2 * stride; k < POINTS / 2; k += 2 * stride) {
            root_re[k + stride] = root_re[k] * c + root_im[k] * s;
            root_im[k + stride] = root_im[k] * c - root_re[k] * s;
        }
    }
}

static void transform(double sign)
{
    for (unsigned i = 1, j = 0; i < POINTS; i++) {
        unsigned bit = POINTS >> 1;

        for (; j & bit; bit >>= 1) {
            j ^= bit;
        }
        j ^= bit;
        if (i < j) {
            double r = re[i], m = im[i];

            re[i] = re[j], im[i] = im[j];
            re[j] = r, im[j] = m;
        }
    }
    for (unsigned size = 2; size <= POINTS; size *= 2) {
        for (unsigned start = 0; start < POINTS; start += size) {
            for (unsigned k = 0; k < size / 2; k++) {
                double wr = root_re[k * (POINTS / size)], wi = sign * root_im[k * (POINTS / size)];
                unsigned a = start + k, b = a + size / 2;
                double r = re[b] * wr - im[b] * wi, m = re[b] * wi + im[b] * wr;

                re[b] = re[a] - r, im[b] = im[a] - m;
                re[a] += r, im[a] += m;
            }
        }
    }
}

static uint32_t fft(unsigned times)
{
    uint32_t sum = 0;

    make_roots();
    for (unsigned i = 0; i < POINTS; i++) {
        re[i] = (int)(next_random() & 0xffff) / 256.0 - 128;
    }
    for (unsigned n = 0; n < times; n++) {
        transform(1);
        re[n % POINTS] += 1;
        transform(-1);
        for (unsigned i = 0; i < POINTS; i++) {
            re[i] /= POINTS, im[i] /= POINTS;
        }
    }
    for (unsigned i = 0; i < POINTS; i++) {
        sum = sum * 31 + bits_of(re[i]) + bits_of(im[i]) * 7;
    }
    return sum;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        uint32_t (*run)(unsigned size);
    } programs[] = {{"core", core}, {"records", records}, {"filter", filter},
                    {"matrix", matrix}, {"fft", fft}};

    for (unsigned i = 0; argc == 3 && i < sizeof programs / sizeof *programs; i++) {
        if (!strcmp(argv[1], programs[i].name)) {
            printf("%s %s %08x\n", argv[1], argv[2], programs[i].run((unsigned)atoi(argv[2])));
            return 0;
        }
    }
    fprintf(stderr, "usage: %s core|records|filter|matrix|fft SIZE\n", argv[0]);
    return 2;
}
