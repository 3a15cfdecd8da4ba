"""A stand-in for the client that strategies are written for, which cannot be had from a package index: what it asks, what it checks and
what it takes for an error are its own; nothing else is."""

import jsonschema
import requests

from UPISAS.exceptions import IncompleteJSONSchema, ServerNotReachable


def get_response_for_get_request(url):
    try:
        return requests.get(url, timeout=60)
    except requests.exceptions.ConnectionError as error:
        raise ServerNotReachable from error


def validate_schema(document, schema):
    if not schema or "type" not in schema or "properties" not in schema:
        raise IncompleteJSONSchema("type and properties are needed")
    if sorted(document) != sorted(schema["properties"]):
        raise IncompleteJSONSchema(f"{sorted(document)} are not the keys {sorted(schema['properties'])}")
    jsonschema.validate(document, schema)
