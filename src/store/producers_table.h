/* What producers_file.c needs of producers.c, and nobody else. */
#pragma once
#include "store/producers.h"

/* Adds a producer that is not known yet, as the one used last; content is copied. */
void producers_put(struct producers *producers, const struct producer *content);
