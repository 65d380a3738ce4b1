/* values.c - numbers and their units. */
#include "graph/options.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    char kind; /* units of one kind convert into one another */
    double factor;
};

static const struct unit unit_table[] = {
    {"px", 'p', 1},    {"voxel", 'p', 1},  {"voxels", 'p', 1},    {"mm3", 'v', 1},
    {"ml", 'v', 1e3},  {"cm3", 'v', 1e3},  {"mm", 'l', 1},        {"cm", 'l', 10},
    {"ms", 't', 1},    {"s", 't', 1e3},    {"min", 't', 6e4},     {"h", 't', 3.6e6},
    {"B", 'b', 1},     {"kB", 'b', 1e3},   {"MB", 'b', 1e6},      {"GB", 'b', 1e9},
    {"TB", 'b', 1e12}, {"KiB", 'b', 1024}, {"MiB", 'b', 1048576}, {"GiB", 'b', 1073741824},
};

#define UNITS ((int)(sizeof unit_table / sizeof *unit_table))

static const struct unit *find_unit(const char *name) {
    for (int i = 0; i < UNITS; i++)
        if (strcmp(unit_table[i].name, name) == 0)
            return &unit_table[i];
    return NULL;
}

const char *unit_name(int i) {
    return i < UNITS ? unit_table[i].name : NULL;
}

bool unit_convert(double *value, const char *from, const char *to) {
    if (strcmp(from, to) == 0)
        return true;
    const struct unit *a = find_unit(from), *b = find_unit(to);
    if (!a || !b || a->kind != b->kind)
        return false;
    *value = *value * a->factor / b->factor;
    return true;
}

static const char *skip_digits(const char *c) {
    while (*c >= '0' && *c <= '9')
        c++;
    return c;
}

bool number_parse(const char *text, double *ret, const char **ret_unit) {
    const char *c = text + (*text == '-' || *text == '+');
    const char *whole = c;
    c = skip_digits(c);
    long digits = c - whole;
    if (*c == '.') {
        const char *fraction = c + 1;
        c = skip_digits(fraction);
        digits += c - fraction;
    }
    if (digits == 0)
        return false;
    if (*c == 'e' || *c == 'E') {
        const char *power = c + 1 + (c[1] == '-' || c[1] == '+');
        const char *end = skip_digits(power);
        if (end > power)
            c = end;
    }
    char number[64];
    if (c - text >= (long)sizeof number)
        return false;
    memcpy(number, text, (size_t)(c - text));
    number[c - text] = 0;
    double value = strtod(number, NULL);
    if (!isfinite(value))
        return false;
    while (*c == ' ')
        c++;
    *ret = value;
    *ret_unit = c;
    return true;
}

bool bytes_parse(struct messages *m, const struct node *n, const char *key, int64_t *ret) {
    double value = 0;
    const char *unit = "";
    if (n->broken)
        return false;
    if (n->kind != NODE_SCALAR || !number_parse(n->text, &value, &unit) ||
        !unit_convert(&value, *unit ? unit : "B", "B")) {
        message_about(m, n, "'%s' takes a number of bytes such as 500 MB or 2 GB, not %s", key,
                      node_shown(n, m->arena));
        return false;
    }
    if (value < 0 || value > 1e15) {
        message_about(m, n, "'%s' must be 0 B to 1000 TB, not '%s'", key, n->text);
        return false;
    }
    *ret = (int64_t)value;
    return true;
}

bool whole_parse(struct messages *m, const struct node *n, const char *key, int64_t min,
                 int64_t max, int64_t *ret) {
    if (n->broken)
        return false;
    char *end = NULL;
    errno = 0;
    long long value = n->kind == NODE_SCALAR ? strtoll(n->text, &end, 10) : 0;
    if (!end || end == n->text || *end || errno || value < min || value > max) {
        if (max == INT64_MAX)
            message_about(m, n, "'%s' must be a whole number from %lld on, not %s", key,
                          (long long)min, node_shown(n, m->arena));
        else
            message_about(m, n, "'%s' must be a whole number from %lld to %lld, not %s", key,
                          (long long)min, (long long)max, node_shown(n, m->arena));
        return false;
    }
    *ret = value;
    return true;
}

bool yes_parse(struct messages *m, const struct node *n, const char *key, bool *ret) {
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
    for (int i = 0; i < 6 && n->kind == NODE_SCALAR && !n->broken; i++)
        if (strcmp(n->text, words[i]) == 0) {
            *ret = i % 2;
            return true;
        }
    if (!n->broken)
        message_about(m, n, "'%s' must be true or false, not %s", key, node_shown(n, m->arena));
    return false;
}
