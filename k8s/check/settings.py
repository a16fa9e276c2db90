"""Whether the executable takes what the manifests give it: its arguments, its variables
and their values, and the names that its health is asked for."""

from overlays import Finding

PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
# A restart brings back a process, and nothing that a process depends on.
ALIVE = "countersign.process"
BROKER = "countersign.bus"


def ours(overlay):
    for workload in overlay.workloads():
        for container in workload.containers:
            yield workload, container


def arguments(overlay, program):
    for workload, container in ours(overlay):
        args = container.get("args", [])
        if "command" in container:
            yield Finding("arguments", workload.where, "the image has one command: give args")
        if not program.knows(*args):
            yield Finding(
                "arguments", workload.where, f"there is no `countersign {' '.join(args)}`"
            )


def variables(overlay, program):
    known = program.settings()
    for workload, container in ours(overlay):
        environment = overlay.environment(container)
        for name in environment:
            if name.startswith("COUNTERSIGN_") and name not in known:
                yield Finding("variables", workload.where, f"there is no setting {name}")
        refused = program.refusal(environment)
        if refused:
            yield Finding("variables", workload.where, refused)


def health(overlay, program):
    for workload, container in ours(overlay):
        for field in PROBES:
            if workload.is_server and "grpc" not in container.get(field, {}):
                yield Finding("health", workload.where, f"{field} does not ask by gRPC")
        probes = {f: container[f]["grpc"] for f in PROBES if "grpc" in container.get(f, {})}
        if not probes:
            continue
        names = program.health_names(*container.get("args", []))
        for field, probe in probes.items():
            name = probe.get("service", "")
            if name not in names:
                yield Finding("health", workload.where, f"{field}: health does not know {name!r}")
            elif name == BROKER:
                yield Finding("health", workload.where, f"{field} depends on the broker")
            elif field != "readinessProbe" and name != ALIVE:
                yield Finding("health", workload.where, f"{field} depends on more than the process")


RULES = [arguments, variables, health]
