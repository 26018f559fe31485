#include <odradek/err.h>

#include "base/base.h"

const char *odk_err_text(enum odk_err err)
{
    static const char *const texts[] = {
#define X(name, text) text,
        ODK_ERR_TABLE(X)
#undef X
    };
    ASSERT((size_t)err < countof(texts));
    return texts[err];
}

const char *odk_err_name(enum odk_err err)
{
    static const char *const names[] = {
#define X(name, text) #name,
        ODK_ERR_TABLE(X)
#undef X
    };
    ASSERT((size_t)err < countof(names));
    return names[err];
}
