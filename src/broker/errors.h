/* The one place where the program's errors become Kafka's codes. */
#pragma once
#include <odradek/err.h>

#include "wire/errors.h"

/* KAFKA_NONE for ODK_OK; never an unknown code. ODK_ERR_PENDING is no error and must not come here. */
enum kafka_error kafka_error_of(enum odk_err err);
