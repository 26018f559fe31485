/*
 * Settings of the broker, of topics and of groups, made from three tables: broker_config.def, topic_config.def and
 * group_config.def. A row gives the struct member, parsing, range check, printing, the docs and what DescribeConfigs
 * shows.
 *
 * A value has a text as it was given and a typed form that the program uses. Text of a value is kept only where it was
 * set; everything else is printed from the typed form.
 *
 * The broker's settings come from the start (file, environment, command line), which is the same for all shards, and
 * from AlterConfigs, in two layers: for all brokers, and over them for this one. Each shard has a struct of its own for
 * that (broker_config_share), which changes when a change is applied there.
 *
 * (I1) a struct of settings that was initialised always holds values inside their rows' ranges.
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
    CONFIG_FLAGS,  /* any of the row's choices; the member holds a bit each, and CONFIG_FLAGS_TURNED */
    CONFIG_STRING,
    CONFIG_LIST,
    CONFIG_CLASS,
    CONFIG_PASSWORD, /* never shown */
};

enum config_effect {
    CONFIG_ACTS = 0,
    CONFIG_INERT = 1,   /* accepted for compatibility, without effect */
    CONFIG_DYNAMIC = 2, /* a bit more, for the broker's: may be changed while it runs, */
    CONFIG_PER_BROKER = 4,   /* but not for all brokers at once, */
    CONFIG_PER_LISTENER = 8, /* and only for one listener of it */
};

struct config_row {
    const char *key;
    enum config_type type;
    int effect;           /* enum config_effect */
    size_t offset;        /* of the member */
    const char *fallback; /* the default as text; NULL: none */
    int64_t min, max;     /* numbers */
    const char *choices;  /* CHOICE, FLAGS: "a,b,c" */
    const char *synonyms; /* of topics and groups: the broker's keys, strongest first, "a,b"; "" = none */
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

/* Choices were named from last to first: tools compare the text that they set with the text that they get. */
#define CONFIG_FLAGS_TURNED 0x80u

enum topic_cleanup { TOPIC_CLEANUP_COMPACT = 1, TOPIC_CLEANUP_DELETE = 2 };
enum group_protocols { GROUP_PROTOCOL_CLASSIC = 1, GROUP_PROTOCOL_CONSUMER = 2 };
enum group_migration {
    GROUP_MIGRATION_DISABLED,
    GROUP_MIGRATION_DOWNGRADE,
    GROUP_MIGRATION_UPGRADE,
    GROUP_MIGRATION_BIDIRECTIONAL,
};
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

#define X(field, key, type, fallback, min, max, choices, effect, synonyms, doc) GROUP_CONFIG_##field,
enum group_config_id {
#include "broker/group_config.def"
    GROUP_CONFIG_COUNT
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

struct group_config {
#define X(field, key, type, fallback, min, max, choices, effect, synonyms, doc) CONFIG_C_##type field;
#include "broker/group_config.def"
#undef X
    char *set[GROUP_CONFIG_COUNT]; /* likewise */
};

/* Who a change at run time is for, weakest first. */
enum config_layer { CONFIG_ALL_BROKERS, CONFIG_THIS_BROKER, CONFIG_LAYERS };

struct broker_config {
#define X(field, key, type, fallback, min, max, choices, effect, doc) CONFIG_C_##type field;
#include "broker/broker_config.def"
#undef X
    char *set[BROKER_CONFIG_COUNT];                       /* as given at the start; NULL: default */
    char *dynamic[CONFIG_LAYERS][BROKER_CONFIG_COUNT];    /* as given since; NULL: not. The stronger layer counts */
    uint8_t origin[BROKER_CONFIG_COUNT];                  /* enum config_origin */
    uint32_t line[BROKER_CONFIG_COUNT];                   /* of the file, for CONFIG_FROM_FILE; 0: none */
    char *others; /* keys that were given and are in no table, but in a family known from Kafka: "a, b"; NULL: none */
};

extern const struct config_row topic_config_rows[TOPIC_CONFIG_COUNT];
extern const struct config_row group_config_rows[GROUP_CONFIG_COUNT];
extern const struct config_row broker_config_rows[BROKER_CONFIG_COUNT];

/* Why a value was refused: a sentence for people, naming key, value and what is allowed. */
struct config_why {
    char text[512];
};

/* -- values that stand over the broker's --------------------------------------------------------------------------- */

/* Settings of topics or of groups, as what they have in common. Structs of settings are passed as void. */
struct config_table {
    const char *of; /* "topic" */
    const struct config_row *rows;
    uint32_t count;
    size_t set_offset; /* of the texts, char *set[count], in the struct */
    size_t bytes;      /* of the struct */
};

extern const struct config_table topic_config_table;
extern const struct config_table group_config_table;

/* All values as the broker's configuration says for those that set nothing. Nothing to free until values are set. */
void config_own_init(const struct config_table *table, void *config, const struct broker_config *broker);
void config_own_deinit(const struct config_table *table, void *config);
/* dst takes copies. */
void config_own_copy(const struct config_table *table, void *dst, const void *src);
/*
 * Sets one value.
 *
 * ODK_ERR_NOT_FOUND  unknown key; ODK_ERR_INVALID value outside the row's range. ret_why is filled on both.
 */
ODK_MUST_USE enum odk_err config_own_set(const struct config_table *table, void *config, struct odk_str key,
                                         struct odk_str value, struct config_why *ret_why);
/* Back to the broker's value. */
void config_own_unset(const struct config_table *table, void *config, uint32_t id, const struct broker_config *broker);
/* The broker's values have changed: takes those that are not set here. */
void config_own_refresh(const struct config_table *table, void *config, const struct broker_config *broker);
/* The texts that are set; table->count of them, NULL where there is none. */
char **config_own_texts(const struct config_table *table, void *config);

/* -- topics ------------------------------------------------------------------------------------------------------- */

/* The same for topics. */
void topic_config_init(struct topic_config *config, const struct broker_config *broker);
void topic_config_deinit(struct topic_config *config);
void topic_config_copy(struct topic_config *dst, const struct topic_config *src);
ODK_MUST_USE enum odk_err topic_config_set(struct topic_config *config, struct odk_str key, struct odk_str value,
                                           struct config_why *ret_why);
void topic_config_unset(struct topic_config *config, enum topic_config_id id, const struct broker_config *broker);

/* TOPIC_CONFIG_COUNT when key is unknown. */
enum topic_config_id topic_config_find(struct odk_str key);

/* Checks what needs more than one value. ODK_ERR_INVALID with ret_why. */
ODK_MUST_USE enum odk_err topic_config_check(const struct topic_config *config, struct config_why *ret_why);

/* What the store is told. */
struct odk_log_config topic_config_for_log(const struct topic_config *config);

/* -- groups ------------------------------------------------------------------------------------------------------- */

/* Checks values that a group sets against the broker's bounds and against each other. ODK_ERR_INVALID with ret_why. */
ODK_MUST_USE enum odk_err group_config_check(const struct group_config *config, const struct broker_config *broker,
                                             struct config_why *ret_why);
/* A number of the group's inside the bounds that the broker has now. */
int32_t group_config_bounded(const struct group_config *config, enum group_config_id id,
                             const struct broker_config *broker);

/* -- broker ------------------------------------------------------------------------------------------------------- */

/* Defaults. */
void broker_config_init(struct broker_config *config);
void broker_config_deinit(struct broker_config *config);

enum broker_config_id broker_config_find(struct odk_str key);

/*
 * Sets one value, unless a stronger origin has set it already. Says a line for unknown keys (and goes on, ODK_OK).
 * ODK_ERR_INVALID: bad value, ret_why filled.
 */
ODK_MUST_USE enum odk_err broker_config_set(struct broker_config *config, struct odk_str key, struct odk_str value,
                                            enum config_origin origin, const struct odk_diag *sink,
                                            struct config_why *ret_why);

/* One line that names what was given and has no effect here; none when there is nothing to name. */
void broker_config_say_inert(const struct broker_config *config, const struct odk_diag *sink);

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

/* Makes dst a shard's own: the values of src, whose texts it points to, so src must outlive it. Ends with
 * broker_config_unshare. */
void broker_config_share(struct broker_config *dst, const struct broker_config *src);
void broker_config_unshare(struct broker_config *config);
/* Gives a layer its value, or takes it away (data NULL), and makes that count which is the strongest then. Only for
 * structs that are shared. ODK_ERR_INVALID: bad value, nothing has changed. */
ODK_MUST_USE enum odk_err broker_config_change(struct broker_config *config, enum config_layer layer,
                                               enum broker_config_id id, struct odk_str value,
                                               struct config_why *ret_why);
/* The text that counts, as it was given: of the strongest layer, or of the start; NULL: nobody has set it. */
const char *broker_config_given(const struct broker_config *config, enum broker_config_id id);

/* Checks what needs more than one value, at the start and for each change. ODK_ERR_INVALID with ret_why. */
ODK_MUST_USE enum odk_err broker_config_check_values(const struct broker_config *config, struct config_why *ret_why);
/* The same, and listeners, if those of the configuration are the ones that are served. To be called once, when
 * everything is set. */
ODK_MUST_USE enum odk_err broker_config_check(const struct broker_config *config, bool served,
                                              const struct odk_diag *sink, struct config_why *ret_why);

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
/* The next item of max.connections.per.ip.overrides, "ADDRESS:COUNT,..."; ODK_ERR_NOT_FOUND at the end,
 * ODK_ERR_INVALID when it is none. */
ODK_MUST_USE enum odk_err config_override_next(struct odk_str *rest, struct odk_str *ret_host, uint32_t *ret_count);

/* The first folder of log.dirs, which holds everything, or of log.dir; data NULL: none is named. */
struct odk_str broker_config_data_dir(const struct broker_config *config);
/* What advertised.listeners says for the listener of that name; false when it says nothing. */
bool broker_config_advertised(const struct broker_config *config, const char *listener, struct config_listener *ret);

/* -- showing ------------------------------------------------------------------------------------------------------ */

#define CONFIG_TEXT_BYTES 64u

/* The value as text: a view of dst (for numbers), or of the value itself; data NULL when there is none (an unset
 * string, a password). config is the struct that the row belongs to. */
struct odk_str config_print(const struct config_row *row, const void *config, char dst[CONFIG_TEXT_BYTES]);

/* The protocol's numbers of what can have settings. */
enum config_resource {
    CONFIG_RESOURCE_TOPIC = 2,
    CONFIG_RESOURCE_BROKER = 4,
    CONFIG_RESOURCE_BROKER_LOGGER = 8,
    CONFIG_RESOURCE_CLIENT_METRICS = 16,
    CONFIG_RESOURCE_GROUP = 32,
};

/* DescribeConfigs' numbers of where a value comes from. */
enum config_source {
    CONFIG_SOURCE_TOPIC = 1,
    CONFIG_SOURCE_BROKER = 2,      /* changed while running, for this broker */
    CONFIG_SOURCE_ALL_BROKERS = 3, /* for all */
    CONFIG_SOURCE_START = 4,
    CONFIG_SOURCE_DEFAULT = 5,
    CONFIG_SOURCE_GROUP = 8,
};

/* Broker keys that stand for one row of a topic or group; each has at most as many sources as there are but its own. */
#define CONFIG_SYNONYMS_MAX 4u
#define CONFIG_PLACES_MAX   (CONFIG_SYNONYMS_MAX * 4u)

/* One place where a value is given. */
struct config_place {
    enum config_source source;
    enum broker_config_id id;
};
/* Where the broker's keys among synonyms ("a,b", strongest first) are given, what counts first; returns how many. */
uint32_t config_places(const char *synonyms, const struct broker_config *broker,
                       struct config_place ret[CONFIG_PLACES_MAX]);
/* What is given there; NULL for passwords. */
const char *config_place_text(const struct broker_config *broker, struct config_place place);
/* The source of a value that is not set by the topic or group itself. */
enum config_source config_source_of(const char *synonyms, const struct broker_config *broker);

/* DescribeConfigs' number of a type: 1 BOOLEAN, 2 STRING, 3 INT, 4 SHORT, 5 LONG, 6 DOUBLE, 7 LIST, 8 CLASS, 9
 * PASSWORD. */
int8_t config_type_code(enum config_type type);
