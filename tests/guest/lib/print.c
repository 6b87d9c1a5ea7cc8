/* SPDX-License-Identifier: MIT */
/*
 * Console on the PL011 and a small printf: %d %u %x %s %c %p %%, width, zero fill, - and l/ll.
 * One caller at a time: CPU 0, or a CPU that is about to bail out.
 */
#include "guest.h"

#define UART_DR      0x09000000u
#define UART_FR      0x09000018u
#define UART_FR_TXFF (1u << 5)

void uart_putc(char c)
{
    while (load32(UART_FR) & UART_FR_TXFF)
        ;
    store32(UART_DR, (uint8_t)c);
}

static void put(char c)
{
    if (c == '\n')
        uart_putc('\r');
    uart_putc(c);
}

/* Digits of v, least significant first; returns how many.  Division by 10 without a 64-bit divide.
 */
static unsigned digits(char *buf, uint64_t v, bool hex)
{
    unsigned n = 0;
    do {
        unsigned d;
        if (hex) {
            d = (unsigned)(v & 15);
            v >>= 4;
        } else {
            uint64_t q = 0, rem = 0;
            for (int bit = 63; bit >= 0; bit--) {
                rem = rem << 1 | ((v >> bit) & 1);
                if (rem >= 10) {
                    rem -= 10;
                    q |= 1ull << bit;
                }
            }
            d = (unsigned)rem;
            v = q;
        }
        buf[n++] = "0123456789abcdef"[d];
    } while (v);
    return n;
}

static void put_number(uint64_t v, bool neg, bool hex, unsigned width, char fill)
{
    char buf[24];
    unsigned n = digits(buf, v, hex);
    if (neg)
        buf[n++] = '-';
    for (unsigned i = n; i < width; i++)
        put(fill);
    while (n)
        put(buf[--n]);
}

static uint64_t next_unsigned(va_list *ap, int longs)
{
    return longs > 1 ? va_arg(*ap, unsigned long long) : va_arg(*ap, unsigned);
}

void vprint(const char *fmt, va_list args)
{
    va_list ap;
    va_copy(ap, args);
    for (; *fmt; fmt++) {
        if (*fmt != '%') {
            put(*fmt);
            continue;
        }
        unsigned width = 0;
        int longs = 0;
        char fill = fmt[1] == '0' ? '0' : ' ';
        for (fmt++; *fmt >= '0' && *fmt <= '9'; fmt++)
            width = width * 10 + (unsigned)(*fmt - '0');
        for (; *fmt == 'l'; fmt++)
            longs++;
        switch (*fmt) {
        case 'd': {
            int64_t v = longs > 1 ? va_arg(ap, long long) : va_arg(ap, int);
            put_number(v < 0 ? -(uint64_t)v : (uint64_t)v, v < 0, false, width, fill);
            break;
        }
        case 'u':
            put_number(next_unsigned(&ap, longs), false, false, width, fill);
            break;
        case 'p':
        case 'x':
            put_number(next_unsigned(&ap, longs), false, true, width, fill);
            break;
        case 'c':
            put((char)va_arg(ap, int));
            break;
        case 's':
            for (const char *s = va_arg(ap, const char *); *s; s++)
                put(*s);
            break;
        default:
            put(*fmt);
        }
    }
    va_end(ap);
}

void print(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vprint(fmt, ap);
    va_end(ap);
}
