"""Whether everything that is named is there: ConfigMaps, the files of secrets, what is
scaled and kept, the hosts in URLs."""

import re
from urllib.parse import urlsplit

from overlays import Finding, selects

# What CloudNativePG makes for a cluster NAME, in the Secret NAME-ca.
AUTHORITY = {"ca.crt", "ca.key"}
# What cert-manager makes for a certificate.
ISSUED = {"tls.crt", "tls.key", "ca.crt"}


def clusters(overlay):
    return {cluster["metadata"]["name"] for cluster in overlay.of_kind("Cluster")}


def secrets(overlay):
    """The keys of each Secret that somebody makes."""
    found = {f"{name}-ca": AUTHORITY for name in clusters(overlay)}
    for certificate in overlay.of_kind("Certificate"):
        found[certificate["spec"]["secretName"]] = ISSUED
    for external in overlay.of_kind("ExternalSecret"):
        target = external["spec"]["target"]
        fetched = {entry["secretKey"] for entry in external["spec"]["data"]}
        # With a template, what was fetched is not in the Secret by itself.
        found[target["name"]] = set(target.get("template", {}).get("data", fetched))
    return found


def files(workload, container, known):
    """The files of secrets that a container finds."""
    volumes = {v["name"]: v["secret"] for v in workload.pod.get("volumes", []) if "secret" in v}
    for mount in container.get("volumeMounts", []):
        secret = volumes.get(mount["name"])
        if secret is None:
            continue
        keys = known.get(secret["secretName"], set())
        items = secret.get("items") or [{"key": key, "path": key} for key in keys]
        yield from (f"{mount['mountPath']}/{item['path']}" for item in items)


def config_maps(overlay, _):
    for workload in overlay.workloads():
        for container in workload.containers:
            for source in container.get("envFrom", []):
                name = source["configMapRef"]["name"]
                if not overlay.named("ConfigMap", name):
                    yield Finding("config-maps", workload.where, f"there is no ConfigMap {name}")


def secret_volumes(overlay, _):
    known = secrets(overlay)
    for workload in overlay.workloads():
        mounted = {m["name"] for c in workload.containers for m in c.get("volumeMounts", [])}
        for volume in workload.pod.get("volumes", []):
            if volume["name"] not in mounted:
                text = f"volume {volume['name']} is mounted nowhere"
                yield Finding("secret-volumes", workload.where, text)
            secret = volume.get("secret")
            if not secret:
                continue
            name = secret["secretName"]
            if name not in known:
                yield Finding("secret-volumes", workload.where, f"nobody makes the Secret {name}")
            for item in secret.get("items", []):
                if item["key"] not in known.get(name, set()):
                    text = f"the Secret {name} has no key {item['key']}"
                    yield Finding("secret-volumes", workload.where, text)
            # The kubelet gives the group of fsGroup its right to read; nobody else has one.
            if secret.get("defaultMode", 0o644) & 0o337:
                text = f"the files of {name} are open: set defaultMode 0440"
                yield Finding("secret-volumes", workload.where, text)


def secret_files(overlay, _):
    known = secrets(overlay)
    for workload in overlay.workloads():
        for container in workload.containers:
            there = set(files(workload, container, known))
            for name, path in overlay.environment(container).items():
                if name.endswith("_FILE") and path not in there:
                    yield Finding("secret-files", workload.where, f"{name}: no file {path}")


def secrets_only_as_files(overlay, _):
    for workload in overlay.workloads():
        for container in workload.containers:
            if any("secretKeyRef" in e.get("valueFrom", {}) for e in container.get("env", [])):
                yield Finding("secrets-only-as-files", workload.where, "a variable holds a secret")
            if any("secretRef" in source for source in container.get("envFrom", [])):
                yield Finding("secrets-only-as-files", workload.where, "variables hold secrets")


def targets(overlay, _):
    for scaler in overlay.of_kind("HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        if not overlay.named(target["kind"], target["name"]):
            yield Finding("targets", overlay.where(scaler), f"there is no {target['name']}")
    for budget in overlay.of_kind("PodDisruptionBudget"):
        if not any(selects(budget["spec"]["selector"], w.labels) for w in overlay.workloads()):
            yield Finding("targets", overlay.where(budget), "it selects no pod")
    for backup in overlay.of_kind("ScheduledBackup"):
        if backup["spec"]["cluster"]["name"] not in clusters(overlay):
            yield Finding("targets", overlay.where(backup), "there is no such cluster")


def databases(overlay, _):
    stores = {store["metadata"]["name"] for store in overlay.of_kind("ObjectStore")}
    known = secrets(overlay)
    for cluster in overlay.of_kind("Cluster"):
        where, spec = overlay.where(cluster), cluster["spec"]
        first = spec["bootstrap"]["initdb"]
        if not {"username", "password"} <= known.get(first["secret"]["name"], set()):
            yield Finding("databases", where, f"nobody makes the Secret {first['secret']['name']}")
        archives = [p for p in spec["plugins"] if p.get("isWALArchiver")]
        if not archives or archives[0]["parameters"].get("barmanObjectName") not in stores:
            yield Finding("databases", where, "its log is archived nowhere")
        named = [b["spec"]["cluster"]["name"] for b in overlay.of_kind("ScheduledBackup")]
        if cluster["metadata"]["name"] not in named:
            yield Finding("databases", where, "nobody backs it up")


def hosts(overlay, _):
    """URLs within the namespace name what is there, and the certificate that is mounted."""
    services = {s["metadata"]["name"]: s for s in overlay.of_kind("Service")}
    primaries = {f"{name}-rw" for name in clusters(overlay)}
    for workload in overlay.workloads():
        for container in workload.containers:
            source = overlay.environment(container).get("COUNTERSIGN_KEYS__SOURCE", "")
            for url in filter(None, source.split(",")):
                host, port = urlsplit(url).hostname, urlsplit(url).port
                ports = {
                    p["port"] for p in services.get(host, {"spec": {"ports": []}})["spec"]["ports"]
                }
                if port not in ports:
                    yield Finding("hosts", workload.where, f"there is no Service for {url}")
    for external in overlay.of_kind("ExternalSecret"):
        url = external["spec"]["target"].get("template", {}).get("data", {}).get("url")
        if url is None:
            continue
        where = overlay.where(external)
        found = re.search(r"@([^:/]+):5432/([^?]+)\?(.*)$", url)
        host, options = (found[1], found[3]) if found else (None, "")
        if host not in primaries:
            yield Finding("hosts", where, f"{host} is no primary of a cluster")
        elif (
            f"sslmode=verify-full&sslrootcert=/run/secrets/{host.removesuffix('-rw')}-ca/ca.crt"
            != options
        ):
            yield Finding("hosts", where, "the certificate of the database is not verified")


RULES = [
    config_maps,
    secret_volumes,
    secret_files,
    secrets_only_as_files,
    targets,
    databases,
    hosts,
]
