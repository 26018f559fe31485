/*
 * Settings of the broker and of topics, made from two tables: broker_config.def and topic_config.def. A row gives the
 * struct member, parsing, range check, printing, the docs and what DescribeConfigs shows.
 *
 * A value has a text as it was given and a typed form that the program uses. Text of a value is kept only where it was
 * set; everything else is printed from the typed form.
 *
 * (I1) a struct topic_config or broker_config that was initialised always holds values inside their rows' ranges.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <odradek/bytes.h>
#include <odradek/diag.h>
#include <odradek/err.h>
#include <odradek/log.h>

#include "base/limits.h"

enum config_type {
    CONFIG_BOOL,
    CONFIG_INT,
    CONFIG_SHORT,
    CONFIG_LONG,
    CONFIG_DOUBLE,
    CONFIG_CHOICE, /* one of the row's choices; the member holds its index */
    CONFIG_FLAGS,  /* any of the row's choices; the member holds a bit each */
    CONFIG_STRING,
    CONFIG_LIST,
    CONFIG_CLASS,
    CONFIG_PASSWORD, /* never shown */
};

enum config_effect { CONFIG_ACTS, CONFIG_INERT }; /* inert: accepted for compatibility, without effect */

struct config_row {
    const char *key;
    enum config_type type;
    enum config_effect effect;
    size_t offset;        /* of the member */
    const char *fallback; /* the default as text; NULL: none */
    int64_t min, max;     /* numbers */
    const char *choices;  /* CHOICE, FLAGS: "a,b,c" */
    const char *synonyms; /* topic rows: the broker's keys, strongest first, "a,b"; "" = none */
    const char *doc;
};

/* C types of members by row type. */
#define CONFIG_C_BOOL     bool
#define CONFIG_C_INT      int32_t
#define CONFIG_C_SHORT    int16_t
#define CONFIG_C_LONG     int64_t
#define CONFIG_C_DOUBLE   double
#define CONFIG_C_CHOICE   uint8_t
#define CONFIG_C_FLAGS    uint8_t
#define CONFIG_C_STRING   const char *
#define CONFIG_C_LIST     const char *
#define CONFIG_C_CLASS    const char *
#define CONFIG_C_PASSWORD const char *

enum topic_cleanup { TOPIC_CLEANUP_COMPACT = 1, TOPIC_CLEANUP_DELETE = 2 };
enum topic_timestamp { TOPIC_CREATE_TIME, TOPIC_LOG_APPEND_TIME };
enum topic_compression {
    TOPIC_COMPRESSION_UNCOMPRESSED,
    TOPIC_COMPRESSION_ZSTD,
    TOPIC_COMPRESSION_LZ4,
    TOPIC_COMPRESSION_SNAPPY,
    TOPIC_COMPRESSION_GZIP,
    TOPIC_COMPRESSION_PRODUCER,
};

#define X(field, key, type, fallback, min, max, choices, effect, synonyms, doc) TOPIC_CONFIG_##field,
enum topic_config_id {
#include "broker/topic_config.def"
    TOPIC_CONFIG_COUNT
};
#undef X

#define X(field, key, type, fallback, min, max, choices, effect, doc) BROKER_CONFIG_##field,
enum broker_config_id {
#include "broker/broker_config.def"
    BROKER_CONFIG_COUNT
};
#undef X

/* Where a value came from, weakest first. */
enum config_origin { CONFIG_FROM_DEFAULT, CONFIG_FROM_FILE, CONFIG_FROM_ENV, CONFIG_FROM_FLAG };

struct topic_config {
#define X(field, key, type, fallback, min, max, choices, effect, synonyms, doc) CONFIG_C_##type field;
#include "broker/topic_config.def"
#undef X
    char *set[TOPIC_CONFIG_COUNT]; /* the topic's own values as given; NULL: the broker's value counts */
};

struct broker_config {
#define X(field, key, type, fallback, min, max, choices, effect, doc) CONFIG_C_##type field;
#include "broker/broker_config.def"
#undef X
    char *set[BROKER_CONFIG_COUNT];                       /* as given; NULL: default */
    uint8_t origin[BROKER_CONFIG_COUNT];                  /* enum config_origin */
    uint64_t inert_said[(BROKER_CONFIG_COUNT + 63) / 64]; /* rows whose "no effect" line is out */
};

extern const struct config_row topic_config_rows[TOPIC_CONFIG_COUNT];
extern const struct config_row broker_config_rows[BROKER_CONFIG_COUNT];

/* Why a value was refused: a sentence for people, naming key, value and what is allowed. */
struct config_why {
    char text[512];
};

/* -- topics ------------------------------------------------------------------------------------------------------- */

/* All values as the broker's configuration says for topics that set nothing. Nothing to free until values are set. */
void topic_config_init(struct topic_config *config, const struct broker_config *broker);
void topic_config_deinit(struct topic_config *config);
/* dst takes copies. */
void topic_config_copy(struct topic_config *dst, const struct topic_config *src);

/* TOPIC_CONFIG_COUNT when key is unknown. */
enum topic_config_id topic_config_find(struct odk_str key);

/*
 * Sets one value of a topic.
 *
 * ODK_ERR_NOT_FOUND  unknown key; ODK_ERR_INVALID value outside the row's range. ret_why is filled on both.
 */
ODK_MUST_USE enum odk_err topic_config_set(struct topic_config *config, struct odk_str key, struct odk_str value,
                                           struct config_why *ret_why);
/* Back to the broker's value. */
void topic_config_unset(struct topic_config *config, enum topic_config_id id, const struct broker_config *broker);

/* What the store is told. */
struct odk_log_config topic_config_for_log(const struct topic_config *config);

/* -- broker ------------------------------------------------------------------------------------------------------- */

/* Defaults. */
void broker_config_init(struct broker_config *config);
void broker_config_deinit(struct broker_config *config);

enum broker_config_id broker_config_find(struct odk_str key);

/*
 * Sets one value, unless a stronger origin has set it already. Says a line for unknown keys (and goes on, ODK_OK) and
 * for keys that have no effect. ODK_ERR_INVALID: bad value, ret_why filled.
 */
ODK_MUST_USE enum odk_err broker_config_set(struct broker_config *config, struct odk_str key, struct odk_str value,
                                            enum config_origin origin, const struct odk_diag *sink,
                                            struct config_why *ret_why);

/* Reads a .properties text and sets everything in it. ODK_ERR_INVALID: ret_why names the line. */
ODK_MUST_USE enum odk_err broker_config_load(struct broker_config *config, struct odk_str text,
                                             enum config_origin origin, const struct odk_diag *sink,
                                             struct config_why *ret_why);

/*
 * The key that an environment variable stands for: KAFKA_LOG_RETENTION_HOURS or KAFKA_CFG_LOG_RETENTION_HOURS ->
 * log.retention.hours ("_" -> ".", "__" -> "_", "___" -> "-"). False: the variable is none of ours, or one of those
 * that configure a Java process. The key may still be unknown to the tables.
 */
bool config_key_of_env(const char *name, char *dst, size_t len);

/* Checks what needs more than one value. To be called once, when everything is set. */
ODK_MUST_USE enum odk_err broker_config_check(const struct broker_config *config, const struct odk_diag *sink,
                                              struct config_why *ret_why);

/* -- listeners ---------------------------------------------------------------------------------------------------- */

struct config_listener {
    char name[64];  /* "PLAINTEXT" */
    char host[256]; /* "" = all addresses; IPv6 without brackets */
    uint16_t port;
};

/* Splits "NAME://host:port,NAME2://[::1]:9093". ODK_ERR_INVALID with ret_why; ODK_ERR_LIMIT above LISTENERS_MAX. */
ODK_MUST_USE enum odk_err config_listeners_parse(const char *text, struct config_listener ret[LISTENERS_MAX],
                                                 uint32_t *ret_count, struct config_why *ret_why);
/* The listeners that clients use: those of "listeners" without the ones in "controller.listener.names". */
ODK_MUST_USE enum odk_err broker_config_listeners(const struct broker_config *config,
                                                  struct config_listener ret[LISTENERS_MAX], uint32_t *ret_count,
                                                  struct config_why *ret_why);
/* What advertised.listeners says for the listener of that name; false when it says nothing. */
bool broker_config_advertised(const struct broker_config *config, const char *listener, struct config_listener *ret);

/* -- showing ------------------------------------------------------------------------------------------------------ */

#define CONFIG_TEXT_BYTES 64u

/* The value as text: a view of dst (for numbers), or of the value itself; data NULL when there is none (an unset
 * string, a password). config is the struct that the row belongs to. */
struct odk_str config_print(const struct config_row *row, const void *config, char dst[CONFIG_TEXT_BYTES]);

/* A synonym of a topic's row, strongest first, each with its own value; for DescribeConfigs. */
struct config_synonym {
    enum broker_config_id id;
    bool set; /* by the operator; else it is the default */
};
/* At most synonyms_max; returns how many. */
uint32_t topic_config_synonyms(enum topic_config_id id, const struct broker_config *broker, struct config_synonym *ret,
                               uint32_t synonyms_max);
/* True if the operator has changed the broker-wide value that topics take for id. */
bool topic_config_default_changed(enum topic_config_id id, const struct broker_config *broker);

/* DescribeConfigs' number of a type: 1 BOOLEAN, 2 STRING, 3 INT, 4 SHORT, 5 LONG, 6 DOUBLE, 7 LIST, 8 CLASS, 9
 * PASSWORD. */
int8_t config_type_code(enum config_type type);
