"""What queries ask for: strictly parsed, and held against the metrics that
docs/telemetry.md lists. A test of the program holds that page to what it answers at /metrics."""

import re
from functools import cache

import promql_parser as ql

from overlays import HERE

PAGE = HERE.parent.parent / "docs" / "telemetry.md"
# Of every scrape, by the operator; and of every histogram.
TARGET = {"namespace", "job", "pod", "le"}
# Prometheus' own, which needs nobody to expose it.
OWN = {"up": set()}
PARTS = ("_bucket", "_count", "_sum")


@cache
def metrics():
    """The labels of each metric, by its name."""
    found = dict(OWN)
    table = PAGE.read_text().split("\n## Metrics\n")[1]
    for names, labels in re.findall(r"^\| (`.+?`) \| (.*?) \|", table, flags=re.MULTILINE):
        said = set(re.findall(r"`([a-z_]+)`", labels))
        for name in re.findall(r"`([a-z_]+)`", names):
            found[name] = said
    return found


def base(name):
    """The metric that a series is of."""
    for part in PARTS:
        if name.removesuffix(part) in metrics():
            return name.removesuffix(part)
    return name


def nodes(node):
    """All parts of an expression."""
    yield node
    for field in ("lhs", "rhs", "expr", "param", "vector_selector"):
        below = getattr(node, field, None)
        if isinstance(below, ql.Expr):
            yield from nodes(below)
    for below in getattr(node, "args", None) or []:
        yield from nodes(below)


def faults(text):
    """What is wrong with a query."""
    try:
        tree = ql.parse(text.replace("$__rate_interval", "5m"))
    except (ValueError, SyntaxError) as error:
        return [f"it is no PromQL: {error}"]
    found, asked = [], set()
    for node in nodes(tree):
        if isinstance(node, ql.VectorSelector):
            name = base(node.name or "")
            if name not in metrics():
                found.append(f"nobody exposes {node.name}")
                continue
            asked |= metrics()[name]
            labels = {matcher.name for matcher in node.matchers.matchers}
            found += [f"{name} has no label {label}" for label in labels - metrics()[name] - TARGET]
    if not asked and not any(isinstance(node, ql.VectorSelector) for node in nodes(tree)):
        found.append("it asks for nothing")
    for node in nodes(tree):
        if isinstance(node, ql.AggregateExpr) and node.modifier:
            kept = set(node.modifier.labels)
            found += [f"nothing here has a label {label}" for label in kept - asked - TARGET]
    return found
