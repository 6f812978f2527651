#!/usr/bin/env python3
"""Checks CircleCI configurations and packed orbs against CircleCI's JSON schema.

    go run ./orb/pack > orb.yml && python3 orb/schema.py orb.yml

The schema is the file that CIRCLECI_SCHEMA names, or ../shared/data/circleci-schema.json from the project's root; it is
published at https://github.com/CircleCI-Public/circleci-yaml-language-server/blob/main/schema.json. Exit 1 when a file breaks it, 77 when there is no schema,
or no jsonschema or PyYAML for this Python, to check with.
"""

import json
import os
import pathlib
import sys


def missing(what):
    print(f"schema.py: nothing was checked: {what}", file=sys.stderr)
    sys.exit(77)


try:
    import jsonschema
    import yaml
except ImportError as error:
    missing(f"{error}; pip install jsonschema pyyaml")


def cause(error):
    """The deepest error of the branch that fits best: "not valid under any of the given schemas" helps nobody."""
    error = jsonschema.exceptions.best_match([error])
    return f"{error.json_path}: {error.message[:300]}"


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    path = pathlib.Path(os.environ.get("CIRCLECI_SCHEMA") or root / "../shared/data/circleci-schema.json")
    if not path.is_file():
        missing(f"there is no {path}; name CircleCI's schema with CIRCLECI_SCHEMA")
    schema = json.loads(path.read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    # A packed orb has at its root what a configuration has, so the configuration's schema serves, and an orb's own does.
    checks = [("configuration", schema), ("orb", {"$ref": "#/definitions/orb", "definitions": schema["definitions"], "properties": schema["properties"]})]
    failed = False
    for name in sys.argv[1:]:
        document = yaml.safe_load(pathlib.Path(name).read_text())
        for kind, against in checks if "workflows" not in document else checks[:1]:
            errors = list(jsonschema.Draft7Validator(against).iter_errors(document))
            for error in errors:
                print(f"{name}: no {kind}: {cause(error)}")
            failed = failed or bool(errors)
    sys.exit(1 if failed else 0)


main()
