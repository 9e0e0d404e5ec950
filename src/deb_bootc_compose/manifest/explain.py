"""What pydantic found wrong, said with file, line and the next step."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from deb_bootc_compose.manifest.document import Node
from debcore.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)


def validate(model: type[Model], node: Node, *, context: tuple[str, ...]) -> Model:
    """*node* as *model*. *context*: keys that are known elsewhere, for suggestions.

    Errors: ConfigError with file:line.
    """
    try:
        return model.model_validate_json(json.dumps(node.plain()))
    except ValidationError as error:
        first = error.errors()[0]
        raise _explain(model, node, dict(first), context) from error


def _explain(model: type[BaseModel], node: Node, error: dict[str, Any], context: tuple[str, ...]) -> ConfigError:
    location = tuple(error["loc"])
    mark = node.at(location)
    dotted = ".".join(map(str, location))
    if error["type"] == "extra_forbidden":
        parent = node.find(location[:-1])
        key = str(location[-1])
        known = [*_keys_at(model, location[:-1]), *(context if len(location) == 1 else ())]
        near = difflib.get_close_matches(key, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(sorted(known))}"
        return ConfigError(str(parent.key_mark(key)), f"unknown key {dotted!r}", hint=hint)
    if error["type"] == "missing":
        return ConfigError(str(mark), f"the key {dotted!r} is missing")
    message = str(error["msg"]).removeprefix("Value error, ")
    value = node.find(location).plain()
    hint = ""
    if error["type"] == "string_type" and isinstance(value, int | float):
        hint = f'text is wanted: write "{json.dumps(value)}" in quotes'
    shown = "" if isinstance(value, dict | list) else f" (it is {value!r})"
    return ConfigError(str(mark), f"{dotted or 'manifest'}: {message[:1].lower()}{message[1:]}{shown}", hint=hint)


def _keys_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys that the model allows at *location*, found through the JSON Schema."""
    schema = model.model_json_schema(by_alias=True)
    here: Any = schema
    for step in location:
        here = _resolve(schema, here)
        here = here.get("items", {}) if isinstance(step, int) else here.get("properties", {}).get(step, {})
    return list(_resolve(schema, here).get("properties", {}))


def _resolve(schema: Mapping[str, Any], here: Any) -> Any:
    for option in here.get("anyOf", []):
        if "$ref" in option:
            here = option
    if "allOf" in here:
        here = here["allOf"][0]
    return schema["$defs"][here["$ref"].rpartition("/")[2]] if "$ref" in here else here
