"""Whether each object is one: those of Kubernetes by its own schemas, strictly, and
those of operators by schemas of what we use of them, which know no other field."""

import json
from functools import cache

import jsonschema
import kubernetes_validate
import yaml

from overlays import HERE, Finding

KUBERNETES = "1.37"
# The oldest that has what is used here by default, such as a preStop hook that sleeps.
OLDEST = "1.30"
OWN = {
    (schema["x-api-version"], schema["x-kind"]): schema
    for path in sorted((HERE / "schemas").glob("*.yaml"))
    for schema in [yaml.safe_load(path.read_text())]
}


def schema(overlay, _):
    for thing in overlay.objects:
        where = f"{overlay.name}/{thing.get('kind')}/{thing.get('metadata', {}).get('name')}"
        for text in wrong(json.dumps(thing)):
            yield Finding("schema", where, text)


@cache
def wrong(text):
    """What is wrong with an object. The same one is asked for many times."""
    thing = json.loads(text)
    own = OWN.get((thing.get("apiVersion"), thing.get("kind")))
    if own:
        errors = jsonschema.Draft202012Validator(own).iter_errors(thing)
        return [f"{error.json_path}: {error.message}" for error in errors]
    found = []
    for version in (OLDEST, KUBERNETES):
        try:
            kubernetes_validate.validate(thing, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            place = ".".join(str(part) for part in error.path)
            found.append(f"Kubernetes {version}: {place}: {error.message}")
        except kubernetes_validate.SchemaNotFoundError as error:
            found.append(error.message)
    return found


RULES = [schema]
