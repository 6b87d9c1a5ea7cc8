/* SPDX-License-Identifier: MIT */
/*
 * Keys by name, as monitors know them, and by X11 key symbol, as viewers send them, on a US
 * keyboard. One table; no state.
 */
#include "display/input.h"

#include <linux/input-event-codes.h>
#include <string.h>

/* name, key, symbol without shift, symbol with shift; 0: none of its own */
static const struct {
    const char *name;
    uint16_t code;
    uint32_t plain, shifted;
} key[] = {
    {"a", KEY_A, 'a', 'A'},
    {"b", KEY_B, 'b', 'B'},
    {"c", KEY_C, 'c', 'C'},
    {"d", KEY_D, 'd', 'D'},
    {"e", KEY_E, 'e', 'E'},
    {"f", KEY_F, 'f', 'F'},
    {"g", KEY_G, 'g', 'G'},
    {"h", KEY_H, 'h', 'H'},
    {"i", KEY_I, 'i', 'I'},
    {"j", KEY_J, 'j', 'J'},
    {"k", KEY_K, 'k', 'K'},
    {"l", KEY_L, 'l', 'L'},
    {"m", KEY_M, 'm', 'M'},
    {"n", KEY_N, 'n', 'N'},
    {"o", KEY_O, 'o', 'O'},
    {"p", KEY_P, 'p', 'P'},
    {"q", KEY_Q, 'q', 'Q'},
    {"r", KEY_R, 'r', 'R'},
    {"s", KEY_S, 's', 'S'},
    {"t", KEY_T, 't', 'T'},
    {"u", KEY_U, 'u', 'U'},
    {"v", KEY_V, 'v', 'V'},
    {"w", KEY_W, 'w', 'W'},
    {"x", KEY_X, 'x', 'X'},
    {"y", KEY_Y, 'y', 'Y'},
    {"z", KEY_Z, 'z', 'Z'},
    {"0", KEY_0, '0', ')'},
    {"1", KEY_1, '1', '!'},
    {"2", KEY_2, '2', '@'},
    {"3", KEY_3, '3', '#'},
    {"4", KEY_4, '4', '$'},
    {"5", KEY_5, '5', '%'},
    {"6", KEY_6, '6', '^'},
    {"7", KEY_7, '7', '&'},
    {"8", KEY_8, '8', '*'},
    {"9", KEY_9, '9', '('},
    {"minus", KEY_MINUS, '-', '_'},
    {"equal", KEY_EQUAL, '=', '+'},
    {"bracket_left", KEY_LEFTBRACE, '[', '{'},
    {"bracket_right", KEY_RIGHTBRACE, ']', '}'},
    {"semicolon", KEY_SEMICOLON, ';', ':'},
    {"apostrophe", KEY_APOSTROPHE, '\'', '"'},
    {"grave_accent", KEY_GRAVE, '`', '~'},
    {"backslash", KEY_BACKSLASH, '\\', '|'},
    {"comma", KEY_COMMA, ',', '<'},
    {"dot", KEY_DOT, '.', '>'},
    {"slash", KEY_SLASH, '/', '?'},
    {"less", KEY_102ND, 0, 0},
    {"spc", KEY_SPACE, ' ', 0},
    {"ret", KEY_ENTER, 0xff0d, 0},
    {"tab", KEY_TAB, 0xff09, 0xfe20},
    {"backspace", KEY_BACKSPACE, 0xff08, 0},
    {"esc", KEY_ESC, 0xff1b, 0},
    {"insert", KEY_INSERT, 0xff63, 0},
    {"delete", KEY_DELETE, 0xffff, 0},
    {"home", KEY_HOME, 0xff50, 0},
    {"end", KEY_END, 0xff57, 0},
    {"pgup", KEY_PAGEUP, 0xff55, 0},
    {"pgdn", KEY_PAGEDOWN, 0xff56, 0},
    {"left", KEY_LEFT, 0xff51, 0},
    {"up", KEY_UP, 0xff52, 0},
    {"right", KEY_RIGHT, 0xff53, 0},
    {"down", KEY_DOWN, 0xff54, 0},
    {"shift", KEY_LEFTSHIFT, 0xffe1, 0},
    {"shift_r", KEY_RIGHTSHIFT, 0xffe2, 0},
    {"ctrl", KEY_LEFTCTRL, 0xffe3, 0},
    {"ctrl_r", KEY_RIGHTCTRL, 0xffe4, 0},
    {"alt", KEY_LEFTALT, 0xffe9, 0xffe7},
    {"alt_r", KEY_RIGHTALT, 0xffea, 0xfe03},
    {"meta_l", KEY_LEFTMETA, 0xffeb, 0},
    {"meta_r", KEY_RIGHTMETA, 0xffec, 0},
    {"menu", KEY_MENU, 0, 0},
    {"compose", KEY_COMPOSE, 0xff67, 0},
    {"caps_lock", KEY_CAPSLOCK, 0xffe5, 0},
    {"num_lock", KEY_NUMLOCK, 0xff7f, 0},
    {"scroll_lock", KEY_SCROLLLOCK, 0xff14, 0},
    {"print", KEY_SYSRQ, 0xff61, 0},
    {"sysrq", KEY_SYSRQ, 0xff15, 0},
    {"pause", KEY_PAUSE, 0xff13, 0},
    {"f1", KEY_F1, 0xffbe, 0},
    {"f2", KEY_F2, 0xffbf, 0},
    {"f3", KEY_F3, 0xffc0, 0},
    {"f4", KEY_F4, 0xffc1, 0},
    {"f5", KEY_F5, 0xffc2, 0},
    {"f6", KEY_F6, 0xffc3, 0},
    {"f7", KEY_F7, 0xffc4, 0},
    {"f8", KEY_F8, 0xffc5, 0},
    {"f9", KEY_F9, 0xffc6, 0},
    {"f10", KEY_F10, 0xffc7, 0},
    {"f11", KEY_F11, 0xffc8, 0},
    {"f12", KEY_F12, 0xffc9, 0},
    {"kp_0", KEY_KP0, 0xffb0, 0xff9e},
    {"kp_1", KEY_KP1, 0xffb1, 0xff9c},
    {"kp_2", KEY_KP2, 0xffb2, 0xff99},
    {"kp_3", KEY_KP3, 0xffb3, 0xff9b},
    {"kp_4", KEY_KP4, 0xffb4, 0xff96},
    {"kp_5", KEY_KP5, 0xffb5, 0xff9d},
    {"kp_6", KEY_KP6, 0xffb6, 0xff98},
    {"kp_7", KEY_KP7, 0xffb7, 0xff95},
    {"kp_8", KEY_KP8, 0xffb8, 0xff97},
    {"kp_9", KEY_KP9, 0xffb9, 0xff9a},
    {"kp_add", KEY_KPPLUS, 0xffab, 0},
    {"kp_subtract", KEY_KPMINUS, 0xffad, 0},
    {"kp_multiply", KEY_KPASTERISK, 0xffaa, 0},
    {"kp_divide", KEY_KPSLASH, 0xffaf, 0},
    {"kp_enter", KEY_KPENTER, 0xff8d, 0},
    {"kp_decimal", KEY_KPDOT, 0xffae, 0xff9f},
    /* Of phones: symbols are those of XFree86's vendor range. */
    {"ac_back", KEY_BACK, 0x1008ff26, 0},
    {"ac_home", KEY_HOMEPAGE, 0x1008ff18, 0},
    {"power", KEY_POWER, 0x1008ff2a, 0},
    {"sleep", KEY_SLEEP, 0x1008ff2f, 0},
    {"wake", KEY_WAKEUP, 0x1008ff2b, 0},
    {"volumeup", KEY_VOLUMEUP, 0x1008ff13, 0},
    {"volumedown", KEY_VOLUMEDOWN, 0x1008ff11, 0},
    {"audiomute", KEY_MUTE, 0x1008ff12, 0},
    {"app_switch", KEY_APPSELECT, 0x1008ff7f, 0},
    {"find", KEY_FIND, 0, 0},
};

uint16_t input_key_by_name(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_SIZE(key); i++) {
        if (strlen(key[i].name) == len && memcmp(key[i].name, name, len) == 0) {
            return key[i].code;
        }
    }
    return 0;
}

uint16_t input_key_by_symbol(uint32_t symbol, bool *shift)
{
    for (size_t i = 0; i < ARRAY_SIZE(key) && symbol != 0; i++) {
        if (key[i].plain == symbol || key[i].shifted == symbol) {
            /* Only what a character keyboard makes by shift needs it. */
            *shift = key[i].plain != symbol && symbol < 0x100;
            return key[i].code;
        }
    }
    return 0;
}
