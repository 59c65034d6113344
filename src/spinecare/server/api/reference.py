"""The OpenAPI document as plain lists for `/docs`: no script, nothing loaded from elsewhere."""

from __future__ import annotations

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
class Operation:
    """One method of one path."""

    method: str
    path: str
    summary: str
    description: str
    body: tuple[tuple[str, str, str], ...]
    replies: tuple[Reply, ...]


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


def operations(document: Document) -> list[Operation]:
    """Every operation, in the order of the document."""
    return [
        Operation(
            method.upper(),
            path,
            operation.get("summary", ""),
            operation.get("description", ""),
            _body(operation),
            tuple(
                Reply(status, reply.get("description", ""), _names(reply.get("content", {})))
                for status, reply in operation["responses"].items()
            ),
        )
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def schemas(document: Document) -> list[Schema]:
    """Every object, by name."""
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
    if "anyOf" in schema:
        return " or ".join(type_words(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        inner = schema.get("items") or {}
        if not inner and schema.get("prefixItems"):
            return "[" + ", ".join(type_words(one) for one in schema["prefixItems"]) + "]"
        return f"list of {type_words(inner)}" if inner else "list"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {type_words(schema['additionalProperties'])}"
    if schema.get("format") == "binary" or schema.get("contentMediaType") == "application/octet-stream":
        return "file"
    return str(schema.get("type", "any value"))


def _body(operation: Document) -> tuple[tuple[str, str, str], ...]:
    content = operation.get("requestBody", {}).get("content", {})
    return tuple(
        (f"{kind}: {key}", type_words(value), value.get("description", ""))
        for kind, form in content.items()
        for key, value in form.get("schema", {}).get("properties", {}).items()
    )


def _names(content: Document) -> tuple[str, ...]:
    schema = content.get("application/json", {}).get("schema", {})
    options = schema.get("anyOf", [schema])
    return tuple(str(one["$ref"]).rsplit("/", 1)[-1] for one in options if "$ref" in one)
