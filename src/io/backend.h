/*
 * What io.c knows of the backends: how to open them. Everything else goes through the table in odradek/io.h.
 *
 * Each opener fills why (never NULL, why_len > 0) when it fails and leaves ret_io untouched; options arrive with all
 * zeros replaced by their defaults.
 */
#pragma once
#include <odradek/io.h>

#include "base/base.h"

MUST_USE enum odk_err uring_open(const struct odk_io_options *options, struct odk_io **ret_io, char *why,
                                 size_t why_len);
MUST_USE enum odk_err epoll_open(const struct odk_io_options *options, struct odk_io **ret_io, char *why,
                                 size_t why_len);
MUST_USE enum odk_err posix_open(const struct odk_io_options *options, struct odk_io **ret_io, char *why,
                                 size_t why_len);
