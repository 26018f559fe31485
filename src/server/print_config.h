/* --print-config of serve and dev. */
#pragma once
#include "server/options.h"

/* One line per key on standard output, "key=value # origin", or with --json one array of objects. Origins: default, dev,
 * FILE:LINE, environment NAME, command line. Passwords are not shown. */
void options_print_config(const struct options *options);
