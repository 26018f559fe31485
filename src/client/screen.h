/*
 * Text that is drawn over and over in the same place: one frame as one write, so that nothing flickers.
 *
 * A frame goes to the top left corner, every line erases what an earlier one left behind it, and everything below is
 * erased at the end. Lines that are too long are cut, lines that are too many give way to "... N more lines". The text
 * is printable ASCII and newlines, as table.h prints it.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct screen {
    size_t rows; /* of the terminal now; 0: unknown, nothing is cut */
    size_t columns;
    bool drawn; /* the first frame clears the screen */
};

/* Writes one frame and flushes. */
void screen_draw(struct screen *screen, FILE *to, const char *text, size_t len);
