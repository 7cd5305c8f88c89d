"""The schemas of the `--json` documents (docs/json): which is whose, whether a document holds to it, and what of it a document shows."""
import functools
import json
import pathlib
import re

import jsonschema

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "docs/json"


@functools.lru_cache(maxsize=None)
def schemas():
    """File name → schema."""
    return {path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


@functools.lru_cache(maxsize=None)
def validator(pointer):
    """Of "file.json" or a part of it, "file.json#/$defs/part"."""
    resolver = jsonschema.RefResolver("", {}, store=schemas())
    return jsonschema.Draft202012Validator({"$ref": pointer}, resolver=resolver)


def name_of(arguments):
    """The schema of a command's document: its verb's words with a hyphen between, "data-prepare.json"."""
    words = [str(a) for a in arguments[:2]]
    for name in ("-".join(words), words[0]):
        if f"{name}.json" in schemas():
            return f"{name}.json"
    raise AssertionError(f"docs/json has no schema of `longhaul {' '.join(words)}`")


def check(document, name):
    """Raises AssertionError naming what of the document its schema does not allow, and where."""
    if validator(name).is_valid(document):
        return
    meant = min(alternatives(name), key=lambda pointer: len(set(document) ^ set(at(pointer).get("properties", {}))))
    error = jsonschema.exceptions.best_match(validator(meant).iter_errors(document))
    raise AssertionError(f"{meant} does not allow /{'/'.join(map(str, error.absolute_path))}: {error.message[:2000]}")


def alternatives(pointer):
    """The forms that a document of a schema may take, past references and `oneOf`."""
    schema = at(pointer)
    if "$ref" in schema:
        yield from alternatives(target(pointer, schema["$ref"]))
    elif "oneOf" in schema:
        for i in range(len(schema["oneOf"])):
            yield from alternatives(below(pointer, "oneOf", i))
    else:
        yield pointer


def at(pointer):
    """The part of a schema that a pointer names."""
    name, _, path = pointer.partition("#")
    schema = schemas()[name]
    for key in filter(None, path.split("/")):
        schema = schema[int(key)] if isinstance(schema, list) else schema[key]
    return schema


def target(pointer, reference):
    """What a `$ref` that stands at `pointer` names."""
    return pointer.partition("#")[0] + reference if reference.startswith("#") else reference


def below(pointer, *keys):
    return "/".join([pointer if "#" in pointer else pointer + "#", *map(str, keys)])


def parts(pointer):
    """A schema and all schemas inside it, as pairs of pointer and schema."""
    schema = at(pointer)
    yield pointer, schema
    for key in ("$defs", "properties"):
        for name in schema.get(key, {}):
            yield from parts(below(pointer, key, name))
    for key in ("oneOf", "anyOf", "prefixItems"):
        for i in range(len(schema.get(key, []))):
            yield from parts(below(pointer, key, i))
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from parts(below(pointer, key))


def shown(document, pointer):
    """Pointers of all properties that a valid document has, those behind references too; the files that describe it as "file.json"."""
    schema = at(pointer)
    yield pointer.partition("#")[0]
    if "$ref" in schema:
        yield from shown(document, target(pointer, schema["$ref"]))
    for key in ("oneOf", "anyOf"):
        for i in range(len(schema.get(key, []))):
            if validator(below(pointer, key, i)).is_valid(document):
                yield from shown(document, below(pointer, key, i))
    if isinstance(document, dict):
        for name, value in document.items():
            if name in schema.get("properties", {}):
                yield below(pointer, "properties", name)
                yield from shown(value, below(pointer, "properties", name))
            elif isinstance(schema.get("additionalProperties"), dict):
                yield from shown(value, below(pointer, "additionalProperties"))
    if isinstance(document, list) and isinstance(schema.get("items"), dict):
        for value in document:
            yield from shown(value, below(pointer, "items"))


def is_word(name):
    """A key that needs no quoting in jq or Python attribute syntax: no dots."""
    return re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name) is not None
