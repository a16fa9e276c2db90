"""What holds for this system: how pods are confined, how a server ends, and numbers that
have to agree with one another."""

import re

from overlays import HERE, Finding

SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
# Settings of a server, with what they are where all clients have one address.
OF_ONE_PEER = {
    "COUNTERSIGN_SERVER__MAX_CONNECTIONS_PER_PEER": "COUNTERSIGN_SERVER__MAX_CONNECTIONS",
    "COUNTERSIGN_SERVER__MAX_CONCURRENT_CALLS_PER_PEER": "COUNTERSIGN_SERVER__MAX_CONCURRENT_CALLS",
    "COUNTERSIGN_AUTH__HASHING__NETWORK_QUEUE": "COUNTERSIGN_AUTH__HASHING__QUEUE",
}
SOURCES = HERE.parent.parent / "libs" / "events" / "src"


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h|d)", text).groups()
    return int(number) * SECONDS[unit]


def setting(overlay, program, container, name):
    return overlay.environment(container).get(name) or program.settings()[name]


def server(workload):
    return next(c for c in workload.containers if c["name"] == "countersign")


def confined(overlay, _):
    """The restricted level, and what goes beyond it."""
    for workload in overlay.workloads():
        pod, own = workload.pod, workload.pod.get("securityContext", {})
        wrong = {
            "has a token of the cluster": pod.get("automountServiceAccountToken") is not False,
            "gets variables of Services, which are refused": pod.get("enableServiceLinks")
            is not False,
            "has no seccomp profile": own.get("seccompProfile", {}).get("type") != "RuntimeDefault",
            "does not run as 65532": (own.get("runAsUser"), own.get("runAsGroup"))
            != (65532, 65532),
            "cannot read its secrets": own.get("fsGroup") != 65532,
            "changes the modes of its files": own.get("fsGroupChangePolicy") != "OnRootMismatch",
            "keeps capabilities": any(
                c.get("securityContext", {}).get("capabilities") != {"drop": ["ALL"]}
                for c in workload.containers
            ),
            "may write anywhere": any("hostPath" in v for v in pod.get("volumes", [])),
        }
        yield from (
            Finding("confined", workload.where, text) for text, is_so in wrong.items() if is_so
        )
    for account in overlay.of_kind("ServiceAccount"):
        if account.get("automountServiceAccountToken") is not False:
            yield Finding("confined", overlay.where(account), "hands out a token of the cluster")
    for namespace in overlay.of_kind("Namespace"):
        labels = namespace["metadata"]["labels"]
        for mode in ("enforce", "audit", "warn"):
            if labels.get(f"pod-security.kubernetes.io/{mode}") != "restricted":
                yield Finding("confined", overlay.where(namespace), f"does not {mode} restricted")


def one_namespace(overlay, _):
    names = {n["metadata"]["name"] for n in overlay.of_kind("Namespace")}
    for thing in overlay.objects:
        if thing["kind"] != "Namespace" and {thing["metadata"].get("namespace")} != names:
            yield Finding("one-namespace", overlay.where(thing), "is not in the namespace")


def one_image(overlay, _):
    images = {c["image"] for w in overlay.workloads() for c in w.containers}
    if len(images) != 1:
        yield Finding("one-image", overlay.name, f"several images: {', '.join(sorted(images))}")


def grace(overlay, program):
    """First the hook, then drain_timeout for calls, then again for tasks; then some air."""
    for workload in overlay.servers():
        container = server(workload)
        hook = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds")
        if not hook:
            yield Finding("grace", workload.where, "it ends before clients know that it goes")
        drain = seconds(setting(overlay, program, container, "COUNTERSIGN_SERVER__DRAIN_TIMEOUT"))
        given = workload.pod.get("terminationGracePeriodSeconds", 30)
        if given < (hook or 0) + 2 * drain + 5:
            text = f"{given} s are too short for a hook of {hook} s and twice {drain} s"
            yield Finding("grace", workload.where, text)


def replaced_one_by_one(overlay, _):
    for workload in overlay.servers():
        if workload.kind != "Deployment":
            continue
        rolling = workload.spec.get("strategy", {}).get("rollingUpdate", {})
        if rolling.get("maxUnavailable") != 0:
            yield Finding("replaced-one-by-one", workload.where, "an upgrade takes replicas away")
        if "replicas" in workload.spec:
            text = "an apply undoes what the autoscaler decided"
            yield Finding("replaced-one-by-one", workload.where, text)
        scaler = overlay.named("HorizontalPodAutoscaler", workload.name)
        if not scaler or scaler["spec"]["minReplicas"] < 3:
            yield Finding("replaced-one-by-one", workload.where, "has fewer than three replicas")
        if not overlay.named("PodDisruptionBudget", workload.name):
            yield Finding(
                "replaced-one-by-one", workload.where, "all its nodes may be drained at once"
            )
        if not workload.pod.get("topologySpreadConstraints"):
            yield Finding("replaced-one-by-one", workload.where, "is not spread over nodes")


def migrated_once(overlay, program):
    """Several replicas do not migrate: a Job does, for each database that a server has."""
    jobs = {tuple(c.get("args", [])) for w in overlay.workloads() for c in w.containers}
    for workload in overlay.servers():
        if workload.kind != "Deployment":
            continue
        container, name = server(workload), "COUNTERSIGN_DATABASE__MIGRATE_AT_START"
        if setting(overlay, program, container, name) != "false":
            yield Finding("migrated-once", workload.where, "each replica migrates at its start")
        role = container["args"][0]
        if ("migrate", role) not in jobs:
            yield Finding("migrated-once", workload.where, f"nobody runs `migrate {role}`")


def connections(overlay, program):
    """All replicas, one more in an upgrade, and two commands find connections; each replica
    has one beside its pool, by which it hears of new events."""
    for cluster in overlay.of_kind("Cluster"):
        role = cluster["metadata"]["name"].removesuffix("-db")
        workload = next((w for w in overlay.servers() if w.name == role), None)
        scaler = overlay.named("HorizontalPodAutoscaler", role)
        if not workload or not scaler:
            continue
        name = f"COUNTERSIGN_DATABASE__{role.upper()}__MAX_CONNECTIONS"
        pool = int(setting(overlay, program, server(workload), name))
        need = (scaler["spec"]["maxReplicas"] + 1) * (pool + 1) + 2 * pool + 10
        given = int(cluster["spec"]["postgresql"]["parameters"]["max_connections"])
        if need > given:
            yield Finding(
                "connections", overlay.where(cluster), f"{need} are needed, {given} given"
            )


def threads(overlay, program):
    for workload in overlay.servers():
        container, name = server(workload), "COUNTERSIGN_AUTH__HASHING__WORKERS"
        workers = overlay.environment(container).get(name)
        if workers and workers != container["resources"]["limits"]["cpu"]:
            yield Finding("threads", workload.where, f"{workers} threads hash, on another limit")


def one_peer(overlay, program):
    """Behind a sidecar all clients are one peer and one network."""
    for thing in overlay.of_kind("Deployment"):
        template = thing["spec"]["template"]
        if template["metadata"].get("annotations", {}).get("linkerd.io/inject") != "enabled":
            continue
        workload = next(w for w in overlay.workloads() if w.where == overlay.where(thing))
        for name, total in OF_ONE_PEER.items():
            if name.startswith("COUNTERSIGN_AUTH__") and workload.name != "auth":
                continue
            have, want = (setting(overlay, program, server(workload), n) for n in (name, total))
            if have != want:
                text = f"{name} is {have}, and everybody together may have {want}"
                yield Finding("one-peer", workload.where, text)


def stream(overlay, program):
    """The declared stream is the one that the servers want: they would report a difference."""
    for thing in overlay.of_kind("Stream"):
        bus = next(c for w in overlay.servers() for c in w.containers)
        of = {
            name: setting(overlay, program, bus, f"COUNTERSIGN_BUS__{name}")
            for name in ("STREAM", "SUBJECT_PREFIX", "REPLICAS", "MAX_AGE")
        }
        sizes = [constant("event.rs", "DATA_MAX"), constant("jetstream/envelope.rs", "HEADERS_MAX")]
        options = (SOURCES / "jetstream" / "options.rs").read_text()
        window = re.search(r"duplicate_window: Duration::from_mins\((\d+)\)", options)
        spec = thing["spec"]
        for field, have, want in (
            ("name", spec["name"], of["STREAM"]),
            ("subjects", spec["subjects"], [f"{of['SUBJECT_PREFIX']}.events.>"]),
            ("replicas", spec["replicas"], int(of["REPLICAS"])),
            ("maxAge", seconds(spec["maxAge"]), seconds(of["MAX_AGE"])),
            ("maxMsgSize", spec["maxMsgSize"], sum(sizes)),
            ("duplicateWindow", spec["duplicateWindow"], f"{window[1]}m" if window else None),
        ):
            if have != want:
                yield Finding("stream", overlay.where(thing), f"{field} is {have}, not {want}")


def constant(file, name):
    """A size of the code, written `64 * 1024`."""
    found = re.search(rf"const {name}: usize = (\d+) \* 1024;", (SOURCES / file).read_text())
    return int(found[1]) * 1024 if found else 0


RULES = [
    confined,
    one_namespace,
    one_image,
    grace,
    replaced_one_by_one,
    migrated_once,
    connections,
    threads,
    one_peer,
    stream,
]
