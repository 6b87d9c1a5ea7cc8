/* SPDX-License-Identifier: MIT */
/*
 * Private to window_*.c: what of SDL is used. The library is loaded when a window is asked for, so
 * that machines without one neither need it nor wait for it and the libraries behind it.
 */
#pragma once

#include <SDL.h>

#define SDL_FUNCTIONS(X)                                                                           \
    X(SDL_Init)                                                                                    \
    X(SDL_Quit)                                                                                    \
    X(SDL_SetHint)                                                                                 \
    X(SDL_GetError)                                                                                \
    X(SDL_CreateWindow)                                                                            \
    X(SDL_DestroyWindow)                                                                           \
    X(SDL_SetWindowSize)                                                                           \
    X(SDL_GetWindowFlags)                                                                          \
    X(SDL_CreateRenderer)                                                                          \
    X(SDL_DestroyRenderer)                                                                         \
    X(SDL_RenderSetLogicalSize)                                                                    \
    X(SDL_RenderClear)                                                                             \
    X(SDL_RenderCopy)                                                                              \
    X(SDL_RenderPresent)                                                                           \
    X(SDL_CreateTexture)                                                                           \
    X(SDL_DestroyTexture)                                                                          \
    X(SDL_UpdateTexture)                                                                           \
    X(SDL_CreateRGBSurfaceWithFormatFrom)                                                          \
    X(SDL_FreeSurface)                                                                             \
    X(SDL_CreateColorCursor)                                                                       \
    X(SDL_GetDefaultCursor)                                                                        \
    X(SDL_SetCursor)                                                                               \
    X(SDL_FreeCursor)                                                                              \
    X(SDL_WaitEventTimeout)                                                                        \
    X(SDL_PushEvent)

struct sdl {
#define X(f) __typeof__(f) *f;
    SDL_FUNCTIONS(X)
#undef X
};

/* window_keys.c: the key (linux/input-event-codes.h) at a place of the keyboard; 0: none. */
unsigned window_key(SDL_Scancode code);
