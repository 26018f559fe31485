/* Where the library's lines for operators go. It writes nowhere else. */
#pragma once

enum odk_diag_level { ODK_DIAG_DEBUG, ODK_DIAG_INFO, ODK_DIAG_WARN, ODK_DIAG_ERROR };

/* write gets one line without a newline, at most 1 KiB, and may be called from the thread that owns the object it
 * was given to. A NULL pointer to this struct, or a NULL write, discards. */
struct odk_diag {
    void (*write)(void *context, enum odk_diag_level level, const char *line);
    void *context;
    enum odk_diag_level least; /* lines below are not formatted */
};
