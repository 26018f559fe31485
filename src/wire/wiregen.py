#!/usr/bin/env python3
"""Turns schema/*.wire into C: structs, straight-line codecs, field tables, error codes; and into PROTOCOL.md.

    wiregen.py code OUTDIR SCHEMA...        writes messages.h messages.c errors.h errors.c
    wiregen.py doc FILE SCHEMA...           writes the protocol page
    wiregen.py check-doc FILE SCHEMA...     fails unless FILE is that page

Anything it does not understand stops it with file:line. There are no exceptions for single fields: what a field
needs is said in the schema. wireschema.py reads it; the grammar is in README.md beside this file.
"""
import os
import re
import sys

from wireschema import FIXED_LEN, LENGTH_LEN, NEVER, NOT_FLEXIBLE, Fail, lines_of, parse_errors, parse_schema, snake

C_TYPE = {'bool': 'bool', 'int8': 'int8_t', 'int16': 'int16_t', 'uint16': 'uint16_t', 'int32': 'int32_t',
          'int64': 'int64_t', 'float64': 'double', 'uuid': 'struct odk_uuid', 'string': 'struct odk_str',
          'bytes': 'struct odk_bytes', 'records': 'struct wire_records'}
CURSOR = {'int8': 'i8', 'int16': 'i16', 'uint16': 'u16', 'int32': 'i32', 'int64': 'i64', 'float64': 'f64'}


def condition(versions, outer):
    tests = [f'version >= {versions[0]}'] if versions[0] > outer[0] else []
    tests += [f'version <= {versions[1]}'] if versions[1] < outer[1] else []
    return ' && '.join(tests)


def null_expr(f):
    return 'false' if f.null == NEVER else condition(f.null, f.versions) or 'true'


def flex_expr(message):
    if message.flexible == NOT_FLEXIBLE:
        return 'false'
    return 'true' if message.flexible <= message.versions[0] else 'flex'


def number_literal(value):
    return {-1 << 63: 'INT64_MIN', -1 << 31: 'INT32_MIN'}.get(value, str(value) if abs(value) < 1 << 31
                                                              else f'INT64_C({value})')


def min_len(f, message):
    """The fewest bytes one value of f takes in any version that has it: bounds what an announced count may be."""
    def struct_len(struct, version):
        total = 1 if version >= message.flexible else 0
        for g in struct.fields:
            if g.tag < 0 and g.versions[0] <= version <= g.versions[1]:
                total += value_len(g, version, g.array)
        return total

    def value_len(g, version, as_array):
        flexible = version >= message.flexible
        if as_array:
            return 1 if flexible else 4
        if g.of:
            return 1 if g.null != NEVER and not g.array else struct_len(g.of, version)
        return FIXED_LEN.get(g.kind) or (1 if flexible else LENGTH_LEN[g.kind])

    return max(1, min(value_len(f, v, False) for v in range(f.versions[0], f.versions[1] + 1)))


def c_member(f):
    base = f'struct {f.of.name}' if f.of else C_TYPE[f.kind]
    lines = [f'{base} {"*" if f.array or f.by_pointer() else ""}{f.name};']
    if f.array:
        lines.append(f'int32_t {f.name}_count;')
    return [x + (f' /* {f.note} */' if f.note and i == 0 else '') for i, x in enumerate(lines)]


def c_struct(struct):
    lines = [f'struct {struct.name} {{'] + ['    ' + x for f in struct.fields for x in c_member(f)] + ['};', '']
    lines += [f'static inline void {struct.name}_init(struct {struct.name} *ret)', '{',
              f'    *ret = (struct {struct.name}){{ 0 }};']
    for f in struct.fields:
        if f.default is not None:
            lines.append(f'    ret->{f.name}{"_count" if f.array else ""} = {number_literal(f.default)};')
        elif f.of and not f.array and not f.by_pointer():
            lines.append(f'    {f.of.name}_init(&ret->{f.name});')
    return lines + ['}', '']


def get_value(f, message, target):
    flex = flex_expr(message)
    if f.kind in CURSOR:
        return [f'{target} = rd_{CURSOR[f.kind]}(&in->r);']
    if f.kind in ('bool', 'uuid'):
        return [f'{target} = in_{f.kind}(in);']
    null = 'false' if f.array else null_expr(f)
    return [f'{target} = in_{dict(string="str").get(f.kind, f.kind)}(in, {flex}, {null});']


def get_field(f, message):
    m = f'm->{f.name}'
    if f.array:
        body = [f'get_{f.of.name}(in, &{m}[i], version);'] if f.of else get_value(f, message, m + '[i]')
        return [f'{m}_count = in_count(in, {flex_expr(message)}, {null_expr(f)}, {min_len(f, message)});',
                f'{m} = in_new(in, {m}_count, sizeof(*{m}));',
                f'for (int32_t i = 0; i < {m}_count && !in->r.bad; i++)'] + ['    ' + x for x in body]
    if not f.of:
        return get_value(f, message, m)
    if not f.by_pointer():
        return [f'get_{f.of.name}(in, &{m}, version);']
    read = [f'{m} = in_new(in, 1, sizeof(*{m}));', f'if ({m})', f'    get_{f.of.name}(in, {m}, version);']
    return read if f.null == NEVER else ['if (in_present(in)) {'] + ['    ' + x for x in read] + ['}']


def put_value(f, message, source):
    flex = flex_expr(message)
    if f.kind in CURSOR or f.kind in ('bool', 'uuid'):
        return [f'out_{CURSOR.get(f.kind, f.kind)}(out, {source});']
    null = 'false' if f.array else null_expr(f)
    source = '&' + source if f.kind == 'records' else source
    return [f'put_{dict(string="str").get(f.kind, f.kind)}(out, {source}, {flex}, {null});']


def put_field(f, message):
    m = f'm->{f.name}'
    if f.array:
        body = [f'put_{f.of.name}(out, &{m}[i], version);'] if f.of else put_value(f, message, m + '[i]')
        return [f'put_count(out, {m}_count, {flex_expr(message)}, {null_expr(f)});',
                f'for (int32_t i = 0; i < {m}_count; i++)'] + ['    ' + x for x in body]
    if not f.of:
        return put_value(f, message, m)
    if not f.by_pointer():
        return [f'put_{f.of.name}(out, &{m}, version);']
    write = [f'put_{f.of.name}(out, {m}, version);']
    if f.null == NEVER:
        return write
    return [f'if (put_present(out, {m} != NULL))'] + ['    ' + x for x in write]


def plain_fields(struct, one):
    """The untagged fields in order; neighbours with the same condition share one if."""
    lines, open_condition = [], ''
    for f in [g for g in struct.fields if g.tag < 0]:
        test = condition(f.versions, struct.message.versions)
        if open_condition and test != open_condition:
            lines.append('}')
        if test and test != open_condition:
            lines.append(f'if ({test}) {{')
        open_condition = test
        lines += [('    ' if test else '') + x for x in one(f, struct.message)]
    return lines + (['}'] if open_condition else [])


def get_tags(struct):
    tagged = [f for f in struct.fields if f.tag >= 0]
    if not tagged:
        return ['in_tags_skip(in);']
    lines = ['struct in_tags tags = in_tags_begin(in);', 'while (in_tags_next(in, &tags)) {']
    for f in sorted(tagged, key=lambda g: g.tag):
        since = condition(f.versions, (struct.message.flexible, struct.message.versions[1]))
        lines.append(f'    {"" if f is first_tag(tagged) else "} else "}if (tags.tag == {f.tag}'
                     + (f' && {since}) {{' if since else ') {'))
        lines += ['        ' + x for x in get_field(f, struct.message)]
    return lines + ['    } else {', '        in_tag_skip(in);', '    }', '}']


def first_tag(tagged):
    return min(tagged, key=lambda g: g.tag)


def tag_present(f):
    m = f'm->{f.name}'
    if f.by_pointer():
        return f'{m} != NULL'
    if f.array:
        return f'{m}_count != {f.default or 0}'
    if f.kind in ('string', 'bytes'):
        return f'{m}.data != NULL' if f.null != NEVER else f'{m}.len > 0'
    if f.kind == 'uuid':
        return f'!odk_uuid_is_zero({m})'
    return f'{m} != {number_literal(f.default or 0)}'


def put_tags(struct):
    tagged = sorted([f for f in struct.fields if f.tag >= 0], key=lambda g: g.tag)
    if not tagged:
        return ['out_uvarint(out, 0);']
    lines = []
    for f in tagged:
        since = condition(f.versions, (struct.message.flexible, struct.message.versions[1]))
        lines.append(f'const bool has_{f.name} = {since + " && " if since else ""}{tag_present(f)};')
    lines.append('out_uvarint(out, ' + ' + '.join(f'(uint32_t)has_{f.name}' for f in tagged) + ');')
    for f in tagged:
        lines += [f'for (struct out_tag t = out_tag_begin(out, {f.tag}, has_{f.name}); out_tag_step(&t, &out);) {{']
        lines += ['    ' + x for x in put_field(f, struct.message)] + ['}']
    return lines


def c_function(head, struct, body, tags):
    flex = flex_expr(struct.message)
    if flex != 'false':
        body = body + (tags if flex == 'true' else ['if (flex) {'] + ['    ' + x for x in tags] + ['}'])
    if flex == 'flex':
        body.insert(0, f'const bool flex = version >= {struct.message.flexible};')
    if not any(re.search(r'(?<!->)\bversion\b', line) for line in body):
        body.insert(0, '(void)version;')
    return [head, '{'] + ['    ' + x for x in body] + ['}', '']


def c_codec(struct):
    early = [f for f in struct.fields if f.default is not None and
             (f.tag >= 0 or condition(f.versions, struct.message.versions))]
    body = [f'm->{f.name}{"_count" if f.array else ""} = {number_literal(f.default)};' for f in early]
    get = c_function(f'static void get_{struct.name}(struct in *in, struct {struct.name} *m, int16_t version)',
                     struct, body + plain_fields(struct, get_field), get_tags(struct))
    put = c_function(f'static void put_{struct.name}(struct out *out, const struct {struct.name} *m, int16_t version)',
                     struct, plain_fields(struct, put_field), put_tags(struct))
    return get + put


def c_public(message):
    n = message.c_name
    decode = f'bool {n}_decode(struct {n} *ret, struct rd *r, struct arena *arena, int16_t version)'
    encode = f'bool {n}_encode(const struct {n} *m, struct out *out, int16_t version)'
    first, last = message.versions
    code = [decode, '{', f'    *ret = (struct {n}){{ 0 }};',
            f'    if (version < {first} || version > {last})', '        return false;',
            '    struct in in = in_init(r, arena);', f'    get_{n}(&in, ret, version);', '    *r = in.r;',
            '    return !r->bad;', '}', '', encode, '{', f'    ASSERT(version >= {first});',
            f'    ASSERT(version <= {last});', f'    put_{n}(out, m, version);', '    return !out->bad;', '}', '',
            f'static bool {n}_decode_any(void *ret, struct rd *r, struct arena *arena, int16_t version)', '{',
            f'    return {n}_decode(ret, r, arena, version);', '}', '',
            f'static bool {n}_encode_any(const void *m, struct out *out, int16_t version)', '{',
            f'    return {n}_encode(m, out, version);', '}', '']
    return [f'MUST_USE {decode};', f'MUST_USE {encode};', ''], code


def c_table(struct):
    rows = []
    for f in struct.fields:
        cells = [f'.name = "{f.name}"', f'.kind = WIRE_{"STRUCT" if f.of else f.kind.upper()}',
                 f'.offset = offsetof(struct {struct.name}, {f.name})', f'.tag = {f.tag}',
                 f'.versions = {{ {f.versions[0]}, {f.versions[1]} }}', f'.null = {{ {f.null[0]}, {f.null[1]} }}']
        if f.array:
            cells.append(f'.array = true, .count_offset = offsetof(struct {struct.name}, {f.name}_count)')
        if f.of:
            cells.append(f'.of = &table_{f.of.name}')
        if f.by_pointer():
            cells.append('.pointer = true')
        if f.default is not None:
            cells.append(f'.initial = {number_literal(f.default)}')
        rows.append('    { ' + ', '.join(cells) + ' },')
    n = struct.name
    return [f'static const struct wire_field fields_{n}[] = {{'] + rows + ['};',
            f'static const struct wire_struct table_{n} = {{ .name = "{n}", .fields = fields_{n}, .field_count = '
            f'{len(struct.fields)}, .size = sizeof(struct {n}) }};', '']


BANNER = '/* Made by wiregen.py from the schema; edit that. */'


def messages_h(apis):
    lines = [BANNER, '#pragma once', '#include "wire/table.h"', '#include "wire/out.h"', '',
             '/* X(name, key, first version, last version, first flexible one, advertised first, advertised last) */',
             '#define WIRE_APIS(X) \\']
    lines += [f'    X({snake(a.name)}, {a.key}, {a.versions[0]}, {a.versions[1]}, {a.flexible}, {a.advertise[0]}, '
              f'{a.advertise[1]}) \\' for a in apis if a.key >= 0]
    lines += ['', 'enum wire_key {'] + [f'    WIRE_KEY_{snake(a.name).upper()} = {a.key},' for a in apis if a.key >= 0]
    lines += ['};', f'#define WIRE_KEY_LIMIT {max(a.key for a in apis) + 1}', '']
    for message in [m for a in apis for m in a.messages]:
        for struct in message.structs:
            lines += c_struct(struct)
        lines += c_public(message)[0]
    return lines


def messages_c(apis):
    lines = [BANNER, '#include "wire/messages.h"', '#include "wire/in.h"', '#include "wire/put.h"', '']
    messages = [m for a in apis for m in a.messages]
    for message in messages:
        for struct in message.structs:
            lines += c_codec(struct) + c_table(struct)
        lines += c_public(message)[1]
    lines.append('const struct wire_message wire_messages[] = {')
    for m in messages:
        lines.append(f'    {{ .name = "{m.title}", .body = &table_{m.c_name}, .decode = {m.c_name}_decode_any, '
                     f'.encode = {m.c_name}_encode_any, .key = {m.key}, '
                     f'.versions = {{ {m.versions[0]}, {m.versions[1]} }}, .flexible_from = {m.flexible} }},')
    lines += ['};', f'const uint32_t wire_message_count = {len(messages)};', '',
              'const struct wire_api wire_apis[WIRE_KEY_LIMIT] = {']
    for a in [a for a in apis if a.key >= 0]:
        at = messages.index(a.messages[0])
        lines.append(f'    [{a.key}] = {{ .name = "{a.name}", .request = &wire_messages[{at}], .response = '
                     f'&wire_messages[{at + 1}], .advertised = {{ {a.advertise[0]}, {a.advertise[1]} }} }},')
    return lines + ['};', 'const int16_t wire_key_limit = WIRE_KEY_LIMIT;']


def errors_h(errors):
    lines = [BANNER, '#pragma once', '#include <stdbool.h>', '#include <stdint.h>', '', 'enum kafka_error {']
    lines += [f'    KAFKA_{name} = {code}, /* {text} */' for code, name, _, text in errors]
    return lines + ['};', f'#define KAFKA_ERROR_LAST {errors[-1][0]}', '',
                    '/* Name, meaning, whether a client may try again; a code that is not known is "UNKNOWN". */',
                    'const char *kafka_error_name(int code);', 'const char *kafka_error_text(int code);',
                    'bool kafka_error_is_retriable(int code);']


def errors_c(errors):
    lines = [BANNER, '#include "wire/errors.h"', '', '#include <stddef.h>', '',
             'struct row {', '    const char *name, *text;', '    bool retriable;', '};', '',
             'static const struct row rows[] = {']
    lines += [f'    {{ "{name}", "{text}", {str(again).lower()} }},' for _, name, again, text in errors]
    lines += ['};', '', 'static const struct row *row_find(int code)', '{',
              '    static const struct row unknown = { "UNKNOWN", "a code that is not known", false };',
              '    return code >= -1 && code <= KAFKA_ERROR_LAST ? &rows[code + 1] : &unknown;', '}', '']
    for result, name, member in (('const char *', 'name', 'name'), ('const char *', 'text', 'text'),
                                 ('bool ', 'is_retriable', 'retriable')):
        lines += [f'{result}kafka_error_{name}(int code)', '{', f'    return row_find(code)->{member};', '}', '']
    return lines[:-1]


# ---- writing the page ----

def range_text(r, outer):
    return '' if r == outer else str(r[0]) if r[0] == r[1] else f'{r[0]}–{r[1]}'


def doc_field(f, message, lines):
    null = '' if f.null == NEVER else ' or null'
    if null and f.null != f.versions:
        null += f' ({range_text(f.null, f.versions)})'
    default = {None: '', -1: 'null' if f.array else '-1'}.get(f.default, str(f.default))
    cells = ['· ' * (f.depth - 1) + f'`{f.name}`', ('array of ' if f.array else '') + f.kind + null,
             range_text(f.versions, message.versions), str(f.tag) if f.tag >= 0 else '', default, f.note]
    lines.append('| ' + ' | '.join(cells) + ' |')
    for g in f.children:
        doc_field(g, message, lines)


def protocol_md(apis, errors):
    lines = ['# Protocol', '', 'Made by src/wire/wiregen.py from src/wire/schema; not edited by hand.', '',
             '## Requests', '', '| key | name | versions read | versions offered | flexible from |',
             '|---|---|---|---|---|']
    span = '{0[0]}–{0[1]}'.format
    for a in [a for a in apis if a.key >= 0]:
        lines.append(f'| {a.key} | [{a.name}](#{a.name.lower()}) | {span(a.versions)} | {span(a.advertise)} | '
                     f'{"" if a.flexible == NOT_FLEXIBLE else a.flexible} |')
    for a in apis:
        lines += ['', f'## {a.name}', '', *a.doc]
        for m in a.messages:
            lines += ['', f'**{m.title}** {span(m.versions)}', '', '| field | type | versions | tag | default | note |',
                      '|---|---|---|---|---|---|']
            for f in m.fields:
                doc_field(f, m, lines)
    lines += ['', '## Error codes', '', '| code | name | try again | meaning |', '|---|---|---|---|']
    lines += [f'| {code} | {name} | {"yes" if again else ""} | {text} |' for code, name, again, text in errors]
    return lines


def main(command, target, *paths):
    apis, errors = [], []
    for path in paths:
        if os.path.basename(path) == 'errors.wire':
            errors = parse_errors(path)
        else:
            apis += parse_schema(path)
    apis.sort(key=lambda a: (a.key < 0, a.key))
    for what in ([a.name for a in apis], [a.key for a in apis if a.key >= 0]):
        if len(set(what)) != len(what):
            raise Fail('two apis share a name or a key')
    page = '\n'.join(protocol_md(apis, errors)) + '\n'
    if command == 'check-doc':
        if lines_of(target) != page.splitlines():
            raise Fail(f'{target} is not what the schema says; run: wiregen.py doc {target} SCHEMA...')
        return
    files = {target: page} if command == 'doc' else {
        os.path.join(target, name): '\n'.join(lines) + '\n' for name, lines in
        (('messages.h', messages_h(apis)), ('messages.c', messages_c(apis)),
         ('errors.h', errors_h(errors)), ('errors.c', errors_c(errors)))}
    for path, text in files.items():
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)


if __name__ == '__main__':
    try:
        if len(sys.argv) < 4 or sys.argv[1] not in ('code', 'doc', 'check-doc'):
            raise Fail(__doc__)
        main(*sys.argv[1:])
    except (Fail, OSError) as failure:
        sys.exit(f'wiregen: {failure}')
