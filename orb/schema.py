#!/usr/bin/env python3
"""Checks CircleCI configurations and packed orbs against CircleCI's JSON schema.

    go run ./orb/pack > orb.yml && python3 orb/schema.py orb.yml

CIRCLECI_SCHEMA is the path of the schema. It is published at
https://github.com/CircleCI-Public/circleci-yaml-language-server/blob/main/schema.json.
The exit code is 1 if a file does not match the schema, and 77 if the schema, jsonschema or PyYAML is missing.
"""

import json
import os
import pathlib
import sys


def missing(what):
    print(f"schema.py: skipped: {what}", file=sys.stderr)
    sys.exit(77)


try:
    import jsonschema
    import yaml
except ImportError as error:
    missing(f"{error}; pip install jsonschema pyyaml")


def cause(error):
    """Returns the error of the best matching subschema, which is more specific than the error of the whole schema."""
    error = jsonschema.exceptions.best_match([error])
    return f"{error.json_path}: {error.message[:300]}"


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    path = pathlib.Path(os.environ.get("CIRCLECI_SCHEMA") or root / "../shared/data/circleci-schema.json")
    if not path.is_file():
        missing(f"{path} does not exist; set CIRCLECI_SCHEMA to the path of CircleCI's schema")
    schema = json.loads(path.read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    # A packed orb must match the schemas of a configuration and of an orb.
    orb = {
        "$ref": "#/definitions/orb",
        "definitions": schema["definitions"],
        "properties": schema["properties"],
    }
    checks = [("configuration", schema), ("orb", orb)]
    failed = False
    for name in sys.argv[1:]:
        document = yaml.safe_load(pathlib.Path(name).read_text())
        for kind, against in checks if "workflows" not in document else checks[:1]:
            errors = list(jsonschema.Draft7Validator(against).iter_errors(document))
            for error in errors:
                print(f"{name}: invalid {kind}: {cause(error)}")
            failed = failed or bool(errors)
    sys.exit(1 if failed else 0)


main()
