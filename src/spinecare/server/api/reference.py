"""The OpenAPI document as plain lists for `/docs`: no script, nothing loaded from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """One response of an operation: its status, what it means, and the names of its objects."""

    status: str
    description: str
    objects: tuple[str, ...]


@dataclass(frozen=True)
class Sent:
    """Something that a request carries. `where`: path, query, header, form field or JSON body."""

    name: str
    where: str
    type: str
    required: bool
    description: str


@dataclass(frozen=True)
class Operation:
    """One method of one path. `example` is the JSON of its good answer, empty where there is none."""

    id: str
    tag: str
    method: str
    path: str
    summary: str
    description: str
    sends: tuple[Sent, ...]
    replies: tuple[Reply, ...]
    example: str


@dataclass(frozen=True)
class Property:
    """One key of an object."""

    name: str
    type: str
    required: bool
    description: str


@dataclass(frozen=True)
class Schema:
    """One object of the interface."""

    name: str
    description: str
    properties: tuple[Property, ...]


@dataclass(frozen=True)
class Chapter:
    """The operations on one kind of thing."""

    title: str
    operations: tuple[Operation, ...]


def chapters(document: Document) -> list[Chapter]:
    """Every operation by its tag, both in the order of the document."""
    by_tag: dict[str, list[Operation]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            made = _operation(method, path, operation)
            by_tag.setdefault(made.tag, []).append(made)
    return [Chapter(tag.capitalize(), tuple(operations)) for tag, operations in by_tag.items()]


def schemas(document: Document) -> list[Schema]:
    """Every object, by name; then the closed lists of words."""
    found = document.get("components", {}).get("schemas", {})
    return [
        Schema(
            name,
            schema.get("description", ""),
            tuple(
                Property(key, type_words(value), key in schema.get("required", ()), value.get("description", ""))
                for key, value in schema.get("properties", {}).items()
            ),
        )
        for name, schema in sorted(found.items())
        if schema.get("type") == "object"
    ] + [
        Schema(name, f"{schema.get('description', '')} One of: {type_words(schema)}.".strip(), ())
        for name, schema in sorted(found.items())
        if "enum" in schema
    ]


def type_words(schema: Document) -> str:
    """A JSON schema's type, as a person reads it."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "const" in schema:
        return f'"{schema["const"]}"'
    if "enum" in schema:
        return ", ".join(f'"{value}"' for value in schema["enum"])
    for either in ("anyOf", "oneOf"):
        if either in schema:
            return " or ".join(type_words(one) for one in schema[either])
    if schema.get("type") == "array":
        inner = schema.get("items") or {}
        if not inner and schema.get("prefixItems"):
            return "[" + ", ".join(type_words(one) for one in schema["prefixItems"]) + "]"
        return f"list of {type_words(inner)}" if inner else "list"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {type_words(schema['additionalProperties'])}"
    if schema.get("format") == "binary" or schema.get("contentMediaType") == "application/octet-stream":
        return "file"
    if schema.get("format") in {"date", "date-time"}:
        return {"date": "date", "date-time": "time"}[schema["format"]]
    return str(schema.get("type", "any value"))


def _operation(method: str, path: str, operation: Document) -> Operation:
    return Operation(
        id=operation.get("operationId", ""),
        tag=(operation.get("tags") or ["others"])[0],
        method=method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        description=operation.get("description", ""),
        sends=(*_parameters(operation), *_body(operation)),
        replies=tuple(
            Reply(status, reply.get("description", ""), tuple(dict.fromkeys(_names(reply.get("content", {})))))
            for status, reply in sorted(operation["responses"].items())
        ),
        example=_example(operation),
    )


def _parameters(operation: Document) -> Iterator[Sent]:
    for one in operation.get("parameters", ()):
        schema = one.get("schema", {})
        yield Sent(
            one["name"],
            one["in"],
            type_words(_without_null(schema)),
            bool(one.get("required")),
            one.get("description") or schema.get("description", ""),
        )


def _body(operation: Document) -> Iterator[Sent]:
    for kind, form in operation.get("requestBody", {}).get("content", {}).items():
        schema = form.get("schema", {})
        if "properties" not in schema:
            yield Sent("body", "JSON", type_words(schema), True, "")
        where = "form field" if kind == "multipart/form-data" else "JSON"
        for key, value in schema.get("properties", {}).items():
            yield Sent(key, where, type_words(value), key in schema.get("required", ()), value.get("description", ""))


def _without_null(schema: Document) -> Document:
    rest = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    return rest[0] if len(rest) == 1 else schema


def _names(content: Document) -> Iterator[str]:
    for media in content.values():
        schema = media.get("schema", {})
        for one in schema.get("anyOf", [schema]):
            if "$ref" in one:
                yield str(one["$ref"]).rsplit("/", 1)[-1]


def _example(operation: Document) -> str:
    for status in ("200", "201"):
        media = operation["responses"].get(status, {}).get("content", {}).get("application/json", {})
        values = (
            [media["example"]] if "example" in media else [one["value"] for one in media.get("examples", {}).values()]
        )
        if values:
            return json.dumps(values[0], indent=2, ensure_ascii=False)
    return ""
