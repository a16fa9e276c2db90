"""The checks that kube-linter (0.7) has on by default, restated: there is no package of it.

Each rule has the name that it has there. A rule takes an overlay, and yields findings.
"""

import re

from overlays import Finding, selects

SENSITIVE = {"/", "/boot", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr"}
UNSAFE_SYSCTL = ("kernel.msg", "kernel.sem", "kernel.shm", "fs.mqueue.", "net.")


def per_workload(rule, wrong):
    """A rule about each workload; `wrong` gives what is wrong with one."""

    def check(overlay, _):
        for workload in overlay.workloads():
            for text in wrong(workload):
                yield Finding(rule, workload.where, text)

    return check


def per_container(rule, is_wrong, text):
    def wrong(workload):
        return [f"{c['name']} {text}" for c in workload.containers if is_wrong(c)]

    return per_workload(rule, wrong)


def security(container):
    return container.get("securityContext", {})


def host_paths(workload):
    return [v["hostPath"]["path"] for v in workload.pod.get("volumes", []) if "hostPath" in v]


def no_requirement(container, resource, kinds):
    resources = container.get("resources", {})
    return any(not resources.get(kind, {}).get(resource) for kind in kinds)


def runs_as_root(workload):
    pod = workload.pod.get("securityContext", {})
    for container in workload.containers:
        own = pod | security(container)
        if own.get("runAsUser") == 0 or not (own.get("runAsNonRoot") or own.get("runAsUser")):
            yield f"{container['name']} may run as root"


def sysctls(workload):
    set_ = workload.pod.get("securityContext", {}).get("sysctls", [])
    return [f"sets {s['name']}" for s in set_ if s["name"].startswith(UNSAFE_SYSCTL)]


def mismatching(workload):
    selector = workload.spec.get("selector")
    if workload.is_server and not (selector and selects(selector, workload.labels)):
        yield "its selector does not match its own pods"


def alone(workload):
    """A server without anti-affinity. How many there are may be an autoscaler's."""
    if not workload.is_server or workload.spec.get("replicas") == 1:
        return
    terms = workload.pod.get("affinity", {}).get("podAntiAffinity", {})
    preferred = terms.get("preferredDuringSchedulingIgnoredDuringExecution", [])
    required = terms.get("requiredDuringSchedulingIgnoredDuringExecution", [])
    for term in [*required, *(one["podAffinityTerm"] for one in preferred)]:
        of_node = term["topologyKey"] == "kubernetes.io/hostname"
        if of_node and selects(term["labelSelector"], workload.labels):
            return
    yield "its replicas may all be on one node"


def job_without_end(workload):
    if workload.kind == "Job" and "ttlSecondsAfterFinished" not in workload.spec:
        yield "it stays for ever when it has finished"


def repeated_variables(workload):
    for container in workload.containers:
        names = [entry["name"] for entry in container.get("env", [])]
        yield from {f"{name} is set twice" for name in names if names.count(name) > 1}


def probe_port(field):
    def wrong(workload):
        for container in workload.containers:
            ports = {p["containerPort"] for p in container.get("ports", [])}
            ports |= {p.get("name") for p in container.get("ports", [])}
            for how in ("grpc", "httpGet", "tcpSocket"):
                probe = container.get(field, {}).get(how)
                if probe and probe["port"] not in ports:
                    yield f"{field} asks port {probe['port']}, which is none of the container's"

    return wrong


def dangling_service(overlay, _):
    pods = [workload.labels for workload in overlay.servers()]
    for service in overlay.of_kind("Service"):
        selector = service["spec"].get("selector", {})
        if not any(selects({"matchLabels": selector}, labels) for labels in pods):
            yield Finding("dangling-service", overlay.where(service), "it selects no pod")


def invalid_target_ports(overlay, _):
    for service in overlay.of_kind("Service"):
        selector = {"matchLabels": service["spec"].get("selector", {})}
        for workload in overlay.servers():
            if not selects(selector, workload.labels):
                continue
            ports = [p for c in workload.containers for p in c.get("ports", [])]
            known = {p.get("name") for p in ports} | {p["containerPort"] for p in ports}
            for port in service["spec"]["ports"]:
                target = port.get("targetPort", port["port"])
                if target not in known:
                    text = f"its pods have no port {target}"
                    yield Finding("invalid-target-ports", overlay.where(service), text)


def service_account(overlay, _):
    for workload in overlay.workloads():
        name = workload.pod.get("serviceAccountName", "default")
        if not overlay.named("ServiceAccount", name):
            text = f"there is no service account {name}"
            yield Finding("non-existent-service-account", workload.where, text)


def disruption(overlay, _):
    for budget in overlay.of_kind("PodDisruptionBudget"):
        spec, where = budget["spec"], overlay.where(budget)
        if spec.get("maxUnavailable") in (0, "0", "0%"):
            yield Finding("pdb-max-unavailable", where, "no node can ever be drained")
        if spec.get("minAvailable") == "100%":
            yield Finding("pdb-min-available", where, "no node can ever be drained")
        if spec.get("unhealthyPodEvictionPolicy") != "AlwaysAllow":
            text = "a pod that is not ready keeps its node from being drained"
            yield Finding("pdb-unhealthy-pod-eviction-policy", where, text)


def extensions(overlay, _):
    for thing in overlay.objects:
        if re.match("extensions/v1beta", thing["apiVersion"]):
            yield Finding("no-extensions-v1beta", overlay.where(thing), "the API is gone")


RULES = [
    dangling_service,
    per_workload(
        "deprecated-service-account-field",
        lambda w: ["serviceAccount is set"] if "serviceAccount" in w.pod else [],
    ),
    per_workload("docker-sock", lambda w: [p for p in host_paths(w) if p.endswith("docker.sock")]),
    per_container(
        "drop-net-raw-capability",
        lambda c: not {"ALL", "NET_RAW"} & set(security(c).get("capabilities", {}).get("drop", [])),
        "keeps NET_RAW",
    ),
    per_workload("duplicate-env-var", repeated_variables),
    per_container(
        "env-var-secret",
        lambda c: any(
            "secret" in e["name"].lower() and e.get("value") and not e["name"].endswith("_FILE")
            for e in c.get("env", [])
        ),
        "has a secret in its environment",
    ),
    *(
        per_workload(rule, lambda w, f=field: [f"{f} is set"] if w.pod.get(f) else [])
        for rule, field in (
            ("host-ipc", "hostIPC"), ("host-network", "hostNetwork"), ("host-pid", "hostPID"),
        )
    ),
    invalid_target_ports,
    per_workload("job-ttl-seconds-after-finished", job_without_end),
    per_container(
        "latest-tag",
        lambda c: not re.search(r"(@sha256:[0-9a-f]{64}|:[^/:]+)$", c.get("image", ""))
        or c["image"].endswith(":latest"),
        "has an image without a version",
    ),
    *(
        per_workload(f"{which}-port", probe_port(f"{which}Probe"))
        for which in ("liveness", "readiness", "startup")
    ),
    per_workload("mismatching-selector", mismatching),
    per_workload("no-anti-affinity", alone),
    extensions,
    per_container(
        "no-read-only-root-fs",
        lambda c: not security(c).get("readOnlyRootFilesystem"),
        "can write its root file system",
    ),
    service_account,
    disruption,
    per_container(
        "privilege-escalation-container",
        lambda c: security(c).get("allowPrivilegeEscalation") is not False,
        "may gain privileges",
    ),
    per_container("privileged-container", lambda c: security(c).get("privileged"), "is privileged"),
    per_workload("run-as-non-root", runs_as_root),
    per_workload(
        "sensitive-host-mounts", lambda w: [p for p in host_paths(w) if p in SENSITIVE]
    ),
    per_container(
        "ssh-port", lambda c: any(p["containerPort"] == 22 for p in c.get("ports", [])), "has SSH"
    ),
    per_workload("unsafe-sysctls", sysctls),
    per_container(
        "unset-cpu-requirements",
        lambda c: no_requirement(c, "cpu", ["requests"]),
        "asks for no processor",
    ),
    per_container(
        "unset-memory-requirements",
        lambda c: no_requirement(c, "memory", ["requests", "limits"]),
        "has no bound of memory",
    ),
]  # fmt: skip
