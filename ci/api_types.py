"""Prints the schemas of the API's description as TypeScript types: api_types.py, to standard output.

The page's modules name them as Api.Status, Api.Recording, …
"""

import json

DESCRIPTION = "src/web/openapi.json"
PLAIN = {"integer": "number", "number": "number", "string": "string", "boolean": "boolean", "null": "null"}


def main():
    with open(DESCRIPTION, encoding="utf-8") as file:
        schemas = json.load(file)["components"]["schemas"]
    for name, schema in schemas.items():
        print(f"declare namespace Api {{ type {name} = {type_of(schema)}; }}")


def type_of(schema):
    if "$ref" in schema:
        return schema["$ref"].rsplit("/", 1)[1]
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " | ".join(type_of(one) for one in schema[several])
    kinds = schema.get("type", [])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    return " | ".join(of_kind(kind, schema) for kind in kinds) or "any"


def of_kind(kind, schema):
    if kind == "array":
        return f"({type_of(schema.get('items', {}))})[]"
    if kind != "object":
        return PLAIN[kind]
    required = schema.get("required", [])
    fields = [
        f"{json.dumps(name)}{'' if name in required else '?'}: {type_of(field)}"
        for name, field in schema.get("properties", {}).items()
    ]
    return "{ " + "; ".join(fields) + " }"


main()
