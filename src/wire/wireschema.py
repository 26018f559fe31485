"""Reads schema/*.wire into apis, messages, structs and fields. The grammar is in README.md beside this file."""
import re

NEVER = (1, 0)  # a range that holds no version
NOT_FLEXIBLE = 32767
FIXED_LEN = {'bool': 1, 'int8': 1, 'int16': 2, 'uint16': 2, 'int32': 4, 'int64': 8, 'float64': 8, 'uuid': 16}
INTEGERS = ('int8', 'int16', 'uint16', 'int32', 'int64')
LENGTH_LEN = {'string': 2, 'bytes': 4, 'records': 4}  # of the length in front, classic encoding


class Fail(Exception):
    pass


class Field:
    def __init__(self, where, depth, name, array, kind, note):
        self.where, self.depth, self.name, self.array, self.kind, self.note = where, depth, name, array, kind, note
        self.versions, self.null, self.tag, self.default, self.children, self.of = None, NEVER, -1, None, [], None

    def by_pointer(self):
        """A struct that may be missing is a pointer, so that a zeroed message means "not there"."""
        return bool(self.of) and not self.array and (self.null != NEVER or self.tag >= 0)


class Struct:
    def __init__(self, name, fields, message):
        self.name, self.fields, self.message = name, fields, message


class Message:
    """What one function pair reads and writes: a request, a response or a record of an internal topic."""
    def __init__(self, c_name, title, key, versions, flexible):
        self.c_name, self.title, self.key, self.versions, self.flexible = c_name, title, key, versions, flexible
        self.fields, self.structs = [], []  # structs: inner ones first, the message itself last


class Api:
    def __init__(self, name, key, versions, flexible, advertise, doc):
        self.name, self.key, self.versions, self.flexible = name, key, versions, flexible
        self.advertise, self.doc, self.messages = advertise, doc, []


def lines_of(path):
    with open(path, encoding='utf-8') as file:
        return file.read().splitlines()


def snake(name):
    return re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', name).lower()


def parse_range(text, outer, where):
    m = re.fullmatch(r'(\d+)|(\d+)?\.\.(\d+)?', text)
    if not m:
        raise Fail(f'{where}: not a version range: {text}')
    first = int(m[1] or m[2] or outer[0])
    last = int(m[1] or m[3] or outer[1])
    if not outer[0] <= first <= last <= outer[1]:
        raise Fail(f'{where}: {text} is empty or leaves {outer[0]}..{outer[1]}')
    return (first, last)


def parse_default(text, f):
    if f.array:
        if text == 'null' and f.null != NEVER:
            return -1
    elif f.kind == 'bool' and text == 'true':
        return 1
    elif f.kind in INTEGERS and re.fullmatch(r'-?[1-9]\d*', text):
        bits, value = 8 * FIXED_LEN[f.kind], int(text)
        signed = f.kind != 'uint16'
        if (-(1 << bits - 1) if signed else 0) <= value < (1 << bits - (1 if signed else 0)):
            return value
    raise Fail(f'{f.where}: {text} is no default for this type, or is the one it has anyway')


def parse_field(line, where, message):
    text, _, note = line.partition('#')
    m = re.fullmatch(r'((?:  )+)([a-z][a-z0-9_]*) +(\[\])?([a-z][a-z0-9_]*)(\?(\S+)?)?((?: +\S+)*)', text.rstrip())
    if not m:
        raise Fail(f'{where}: not a field: {line.strip()}')
    f = Field(where, len(m[1]) // 2, m[2], bool(m[3]), m[4], note.strip())
    words = m[7].split()
    f.versions = parse_range(words.pop(0), message.versions, where) if words and words[0][0] in '.0123456789' \
        else message.versions
    if m[5]:
        f.null = parse_range(m[6], f.versions, where) if m[6] else f.versions
    if words[:1] == ['tag'] and len(words) >= 2 and words[1].isdigit():
        f.tag = int(words[1])
        words = words[2:]
        if message.flexible > f.versions[0]:
            raise Fail(f'{where}: tagged before the message is flexible')
    if words[:1] == ['='] and len(words) == 2:
        f.default = parse_default(words[1], f)
        words = []
    if words:
        raise Fail(f'{where}: not understood: {" ".join(words)}')
    return f


def resolve(fields, owner, message, known):
    """Gives every struct its C name and its place: inner ones before those that hold them."""
    seen, tags = set(), []
    for f in fields:
        for name in [f.name, f.name + '_count'] if f.array else [f.name]:
            if name in seen:
                raise Fail(f'{f.where}: {name} is there already')
            seen.add(name)
        if f.tag >= 0:
            tags.append(f.tag)
        if f.kind in FIXED_LEN or f.kind in LENGTH_LEN:
            if f.children:
                raise Fail(f'{f.where}: {f.kind} has no fields of its own')
            if f.null != NEVER and not f.array and f.kind not in LENGTH_LEN:
                raise Fail(f'{f.where}: {f.kind} cannot be null')
            if f.kind == 'records' and (f.array or f.tag >= 0):
                raise Fail(f'{f.where}: records stand alone, not in arrays or tags')
            continue
        if f.children:
            if f.kind in known:
                raise Fail(f'{f.where}: struct {f.kind} is described twice')
            known[f.kind] = resolve(f.children, f'{message.c_name}_{f.kind}', message, known)
        if f.kind not in known:
            raise Fail(f'{f.where}: unknown type {f.kind}')
        f.of = known[f.kind]
        if not f.array and f.null not in (NEVER, f.versions):
            raise Fail(f'{f.where}: a struct may be null in all its versions or in none')
    if sorted(tags) != list(range(len(tags))):
        raise Fail(f'{fields[0].where}: tags must be 0, 1, 2, ...')
    struct = Struct(owner, fields, message)
    message.structs.append(struct)
    return struct


def add_field(stack, f):
    if f.depth > len(stack):
        raise Fail(f'{f.where}: indented too far')
    del stack[f.depth:]
    stack[-1].append(f)
    stack.append(f.children)


def parse_head(words, line, doc, where):
    """The line "api Name key N versions A..B [flexible C..] [advertise D..E]" or "record Name versions ..."."""
    m = re.fullmatch(r'(api|record) +([A-Z][A-Za-z0-9]*)( +key +(\d+))? +versions +(\S+)'
                     r'( +flexible +(\d+)\.\.)?( +advertise +(\S+))?', line.partition('#')[0].rstrip())
    if not m or (words[0] == 'api') != bool(m[3]):
        raise Fail(f'{where}: not a head line: {line}')
    versions = parse_range(m[5], (0, 99), where)
    advertise = parse_range(m[9], (0, 99), where) if m[9] else versions
    flexible = int(m[7]) if m[7] else NOT_FLEXIBLE
    return Api(m[2], int(m[4]) if m[4] else -1, versions, flexible, advertise, doc)


def parse_schema(path):
    apis, doc, stack = [], [], None
    for number, line in enumerate(lines_of(path), 1):
        where, line = f'{path}:{number}', line.rstrip()
        words = line.split()
        if not words:
            doc = []
        elif words[0] == '#' and line[0] == '#':
            doc.append(line[1:].strip())
        elif words[0] in ('api', 'record') and line[0] != ' ':
            apis.append(parse_head(words, line, doc, where))
            doc, stack = [], None
            if words[0] == 'record':
                stack = add_message(apis[-1], '')
        elif line in ('request', 'response') and apis and apis[-1].key >= 0:
            stack = add_message(apis[-1], '_' + line)
        elif line[0] == ' ' and stack is not None:
            add_field(stack, parse_field(line, where, apis[-1].messages[-1]))
        else:
            raise Fail(f'{where}: not understood: {line}')
    for api in apis:
        if len(api.messages) != (2 if api.key >= 0 else 1):
            raise Fail(f'{path}: {api.name}: an api has one request and one response')
        for message in api.messages:
            resolve(message.fields, message.c_name, message, {})
    return apis


def add_message(api, suffix):
    title = api.name + suffix.replace('_r', 'R')
    api.messages.append(Message(snake(api.name) + suffix, title, api.key, api.versions, api.flexible))
    return [api.messages[-1].fields]


def parse_errors(path):
    errors = []
    for number, line in enumerate(lines_of(path), 1):
        m = re.fullmatch(r'(-?\d+) +([A-Z][A-Z_]*) +(retriable|final) +([^"\\]+)', line.rstrip())
        if m:
            errors.append((int(m[1]), m[2], m[3] == 'retriable', m[4]))
        elif line.strip() and line[0] != '#':
            raise Fail(f'{path}:{number}: not an error line')
    if [e[0] for e in errors] != list(range(-1, len(errors) - 1)):
        raise Fail(f'{path}: codes must be -1, 0, 1, ...')
    return errors
