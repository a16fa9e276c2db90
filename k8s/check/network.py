"""Whether the network lets through what has to flow, and nothing else: each flow between
pods of ours has to be let out at one end and in at the other."""

from itertools import product

from overlays import Finding, selects

# Of the pods of a database of CloudNativePG.
CLUSTER = "cnpg.io/cluster"


def pods(overlay):
    """The labels of all pods in the namespace, with where they come from."""
    found = [(workload.where, workload.labels) for workload in overlay.workloads()]
    for cluster in overlay.of_kind("Cluster"):
        found.append((overlay.where(cluster), {CLUSTER: cluster["metadata"]["name"]}))
    return found


def flows(overlay, direction):
    """(pods that are selected, pods at the other end, port) for each rule within the namespace."""
    verb = {"Ingress": "from", "Egress": "to"}[direction]
    for policy in overlay.of_kind("NetworkPolicy"):
        for rule in policy["spec"].get(direction.lower(), []):
            for peer, port in product(rule.get(verb, []), rule.get("ports", [])):
                if "podSelector" in peer and "namespaceSelector" not in peer:
                    yield policy, peer["podSelector"], port["port"]


def everything_is_denied(overlay, _):
    for policy in overlay.of_kind("NetworkPolicy"):
        spec = policy["spec"]
        closed = set(spec["policyTypes"]) == {"Ingress", "Egress"}
        if spec["podSelector"] == {} and closed and not spec.keys() & {"ingress", "egress"}:
            return
    yield Finding("everything-is-denied", overlay.name, "no policy denies everything")


def policies_select(overlay, _):
    labels = [pod for _, pod in pods(overlay)]
    for policy in overlay.of_kind("NetworkPolicy"):
        if not any(selects(policy["spec"]["podSelector"], pod) for pod in labels):
            yield Finding("policies-select", overlay.where(policy), "it selects no pod")
    for direction in ("Ingress", "Egress"):
        for policy, peer, _ in flows(overlay, direction):
            if not any(selects(peer, pod) for pod in labels):
                yield Finding("policies-select", overlay.where(policy), f"{peer} selects no pod")


def named_flows(overlay, _):
    """A rule without ports or without peers lets more through than anybody named."""
    for policy in overlay.of_kind("NetworkPolicy"):
        for direction, verb in (("ingress", "from"), ("egress", "to")):
            for rule in policy["spec"].get(direction, []):
                if not rule.get(verb) or not rule.get("ports") or {} in rule[verb]:
                    text = "a rule has no peers or no ports"
                    yield Finding("named-flows", overlay.where(policy), text)


def both_ends(overlay, _):
    ends = {}
    for direction in ("Ingress", "Egress"):
        found = set()
        for policy, peer, port in flows(overlay, direction):
            here = [
                w for w, labels in pods(overlay) if selects(policy["spec"]["podSelector"], labels)
            ]
            there = [w for w, labels in pods(overlay) if selects(peer, labels)]
            pairs = product(there, here) if direction == "Ingress" else product(here, there)
            found |= {(sender, taker, port) for sender, taker in pairs}
        ends[direction] = found
    for sender, taker, port in sorted(ends["Egress"] - ends["Ingress"], key=str):
        yield Finding("both-ends", taker, f"port {port} is closed to {sender}")
    for sender, taker, port in sorted(ends["Ingress"] - ends["Egress"], key=str):
        yield Finding("both-ends", sender, f"may not send to port {port} of {taker}")


def needed_flows(overlay, _):
    """What the settings name can be reached."""
    sent = set()
    for policy, peer, port in flows(overlay, "Egress"):
        for where, labels in pods(overlay):
            if selects(policy["spec"]["podSelector"], labels):
                sent |= {(where, to, port) for to, other in pods(overlay) if selects(peer, other)}
    names = {name for _, pod in pods(overlay) if (name := pod.get(CLUSTER))}
    for workload in overlay.workloads():
        reached = {(to, port) for where, to, port in sent if where == workload.where}
        environment = {}
        for container in workload.containers:
            environment |= overlay.environment(container)
        for variable, path in environment.items():
            database = path.split("/")[-2] if variable.endswith("__URL_FILE") else None
            if database in names and (f"{overlay.name}/Cluster/{database}", 5432) not in reached:
                yield Finding("needed-flows", workload.where, f"it does not reach {database}")
        # Operators' commands have the settings of a server, and ask nobody.
        if workload.is_server and "COUNTERSIGN_KEYS__SOURCE" in environment:
            if (f"{overlay.name}/Deployment/auth", 50051) not in reached:
                yield Finding("needed-flows", workload.where, "it does not reach the auth service")


RULES = [everything_is_denied, policies_select, named_flows, both_ends, needed_flows]
