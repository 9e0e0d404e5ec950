"""The JSON Schema of the manifest, published as schemas/compose.json."""

from __future__ import annotations

from typing import Any

from pydantic import create_model

from deb_bootc_compose.manifest.model import Compose, Strict, Tree, Variant


def manifest_schema() -> dict[str, Any]:
    """The published JSON Schema: compose.yaml, and under `$defs/TreeFile` an included `*.tree.yaml`."""

    fields: dict[str, Any] = {}
    for model in (Tree, Compose):
        fields |= {name: (field.rebuild_annotation(), field) for name, field in model.model_fields.items()}
    fields["variants"] = (dict[str, Variant], ...)
    compose: type[Strict] = create_model("ComposeFile", __base__=Strict, **fields)
    schema = compose.model_json_schema(by_alias=True)
    include = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    condition = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    conditional = {
        "type": "array",
        "items": {
            "type": "object", "additionalProperties": False, "required": ["if", "include"],
            "properties": {"if": condition, "include": {"type": "string"}},
        },
    }  # fmt: skip
    tree = Tree.model_json_schema(by_alias=True)
    schema["$defs"] |= tree.pop("$defs", {})
    schema["$defs"]["TreeFile"] = tree
    for part in (schema, tree, schema["$defs"]["Variant"]):
        part["patternProperties"] = {"^packages-[a-z0-9]+$": {"type": "array", "items": {"type": "string"}}}
    for part in (schema, tree):
        part["properties"] |= {"include": include, "conditional-include": conditional}
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "deb-bootc-compose manifest, version 1"
    return schema


class ManifestFile:
    """For `make docs`, which asks models for their schema."""

    @staticmethod
    def model_json_schema() -> dict[str, Any]:
        return manifest_schema()
