/* SPDX-License-Identifier: MIT */
/* The files of the page for browsers (page/), as they are. */

#define FILE_OF_PAGE(symbol, path) \
    .globl symbol; .globl symbol##_end; \
    .balign 16; symbol: .incbin path; symbol##_end:

    .section .rodata
FILE_OF_PAGE(web_page_html, "page/index.html")
FILE_OF_PAGE(web_page_css, "page/umbra.css")
FILE_OF_PAGE(web_page_js, "page/umbra.js")

    .section .note.GNU-stack, "", @progbits
