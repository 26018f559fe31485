#include "server/serve.h"

#include <stdio.h>

#include "server/print_config.h"

static int run(enum options_mode mode, int argc, char **argv)
{
    struct odk_io *io;
    char why[256] = "";
    if (odk_io_open(&(struct odk_io_options){ .kind = ODK_IO_POSIX }, &io, why, sizeof(why)) != ODK_OK) {
        fprintf(stderr, "odradek: %s\n", why);
        return 1;
    }
    struct options options;
    int code = 0;
    if (options_parse(&options, mode, io, argc, argv) != ODK_OK)
        code = 2;
    else if (options.print_config)
        options_print_config(&options);
    else if (!options.help)
        code = server_run(&options.server);
    options_deinit(&options);
    io->ops->free(io);
    return code;
}

int serve_main(int argc, char **argv)
{
    return run(OPTIONS_SERVE, argc, argv);
}

int dev_main(int argc, char **argv)
{
    return run(OPTIONS_DEV, argc, argv);
}
