#include "client/moment.h"

#include <ctype.h>
#include <string.h>

#include "base/base.h"

#define MINUTE_MS      INT64_C(60000)
#define HOUR_MS        (60 * MINUTE_MS)
#define DAY_MS         (24 * HOUR_MS)
#define ZONE_HOURS_MAX 18 /* java.time's bound */
#define NUMBER_DIGITS  15 /* of a part of a duration: far beyond any log, far from overflow */
#define FRACTION_SCALE 1000

/* Days since 1970 of a Gregorian date (months counted from March, so that leap days end the year). */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static int64_t days_in(int64_t year, int64_t month)
{
    bool december = month == 12;
    return days_of(december ? year + 1 : year, december ? 1 : month + 1, 1) - days_of(year, month, 1);
}

/* Reads exactly count digits; moves *at behind them. */
static bool digits(const char **at, unsigned count, int64_t *ret)
{
    int64_t value = 0;
    for (unsigned i = 0; i < count; i++) {
        char c = (*at)[i];
        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    *at += count;
    *ret = value;
    return true;
}

static bool literal(const char **at, char c)
{
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

/* ".123": thousandths. */
static int64_t fraction(const char **at)
{
    int64_t value = 0;
    for (int64_t scale = FRACTION_SCALE / 10; **at >= '0' && **at <= '9'; (*at)++, scale /= 10)
        value += (**at - '0') * scale;
    return value;
}

bool moment_date(const char **at, int64_t *ret_ms)
{
    const char *p = *at;
    int64_t year, month, day;
    bool good = digits(&p, 4, &year) && literal(&p, '-') && digits(&p, 2, &month) && literal(&p, '-') &&
                digits(&p, 2, &day) && month >= 1 && month <= 12 && day >= 1 && day <= days_in(year, month);
    if (!good)
        return false;
    *at = p;
    *ret_ms = days_of(year, month, day) * DAY_MS;
    return true;
}

static bool hour_and_minute(const char **at, int64_t *ret_ms)
{
    const char *p = *at;
    int64_t hour, minute;
    if (!digits(&p, 2, &hour) || !literal(&p, ':') || !digits(&p, 2, &minute) || hour >= 24 || minute >= 60)
        return false;
    *at = p;
    *ret_ms = hour * HOUR_MS + minute * MINUTE_MS;
    return true;
}

static bool seconds(const char **at, int64_t *ret_ms)
{
    const char *p = *at;
    int64_t second;
    if (!literal(&p, ':') || !digits(&p, 2, &second) || second >= 61)
        return false;
    *ret_ms = second * 1000;
    if (literal(&p, '.')) {
        if (*p < '0' || *p > '9')
            return false;
        *ret_ms += fraction(&p);
    }
    *at = p;
    return true;
}

bool moment_clock(const char **at, int64_t *ret_ms)
{
    const char *p = *at;
    int64_t minutes_ms, seconds_ms;
    if (!hour_and_minute(&p, &minutes_ms) || !seconds(&p, &seconds_ms))
        return false;
    *at = p;
    *ret_ms = minutes_ms + seconds_ms;
    return true;
}

/* Nothing, Z, +HH, +HHMM or +HH:MM: what is to be taken off the time on the clock. */
static bool zone(const char **at, int64_t *ret_ms)
{
    int64_t hours, minutes = 0;
    *ret_ms = 0;
    if (**at == '\0' || literal(at, 'Z'))
        return true;
    int64_t sign = **at == '-' ? -1 : 1;
    if (!literal(at, '+') && !literal(at, '-'))
        return false;
    if (!digits(at, 2, &hours))
        return false;
    bool more = literal(at, ':') || **at != '\0';
    if ((more && !digits(at, 2, &minutes)) || hours > ZONE_HOURS_MAX || minutes >= 60)
        return false;
    *ret_ms = sign * (hours * HOUR_MS + minutes * MINUTE_MS);
    return true;
}

bool moment_parse(const char *text, int64_t *ret_ms)
{
    int64_t date_ms, clock_ms = 0, seconds_ms = 0, zone_ms = 0;
    if (!moment_date(&text, &date_ms))
        return false;
    if (literal(&text, 'T')) {
        if (!hour_and_minute(&text, &clock_ms))
            return false;
        if (*text == ':' && !seconds(&text, &seconds_ms))
            return false;
        if (!zone(&text, &zone_ms))
            return false;
    }
    if (*text != '\0')
        return false;
    *ret_ms = date_ms + clock_ms + seconds_ms - zone_ms;
    return true;
}

/* One "12H" of a duration: a number, a fraction for seconds only, and its unit. */
static bool duration_part(const char **at, const char *units, const int64_t *units_ms, size_t *ret_unit,
                          int64_t *ret_ms)
{
    int64_t value, thousandths = 0;
    const char *p = *at;
    int64_t sign = *p == '-' ? -1 : 1;
    p += *p == '-' || *p == '+';
    size_t len = strspn(p, "0123456789");
    if (len == 0 || len > NUMBER_DIGITS || !digits(&p, (unsigned)len, &value))
        return false;
    bool fractional = literal(&p, '.') || literal(&p, ',');
    if (fractional)
        thousandths = fraction(&p);
    char unit = (char)toupper((unsigned char)*p);
    const char *found = unit ? strchr(units, unit) : NULL;
    if (!found || (fractional && unit != 'S'))
        return false;
    *ret_unit = (size_t)(found - units);
    *at = p + 1;
    return !__builtin_mul_overflow(sign * value, units_ms[*ret_unit], ret_ms) &&
           !__builtin_add_overflow(*ret_ms, sign * thousandths, ret_ms);
}

/* Parts with falling units, up to the end or stop. Adds to *total. */
static bool duration_parts(const char **at, const char *units, const int64_t *units_ms, char stop, int64_t *total)
{
    size_t unit_min = 0;
    while (**at != '\0' && toupper((unsigned char)**at) != stop) {
        size_t unit;
        int64_t ms;
        if (!duration_part(at, units, units_ms, &unit, &ms) || unit < unit_min ||
            __builtin_add_overflow(*total, ms, total))
            return false;
        unit_min = unit + 1;
    }
    return true;
}

bool moment_duration(const char *text, int64_t *ret_ms)
{
    static const int64_t dates_ms[] = { 7 * DAY_MS, DAY_MS };
    static const int64_t clocks_ms[] = { HOUR_MS, MINUTE_MS, 1000 };
    int64_t total = 0;
    bool negative = *text == '-';
    text += *text == '-' || *text == '+';
    if (toupper((unsigned char)*text++) != 'P' || *text == '\0')
        return false;
    if (!duration_parts(&text, "WD", dates_ms, 'T', &total))
        return false;
    if (*text != '\0' && (*++text == '\0' || !duration_parts(&text, "HMS", clocks_ms, '\0', &total)))
        return false;
    return !__builtin_mul_overflow(total, negative ? -1 : 1, ret_ms);
}
