"""Whether traffic between pods is encrypted, by one of two: the server, or a proxy beside it."""

from urllib.parse import urlsplit

from house import server, setting
from observed import port_of, replicated
from overlays import Finding, selects
from settings import PROBES

CERTIFICATE = "COUNTERSIGN_SERVER__TLS__CERTIFICATE_FILE"
HEALTH = "COUNTERSIGN_SERVER__HEALTH_LISTEN"
SOURCE = "COUNTERSIGN_KEYS__SOURCE"


def injected(overlay, workload):
    thing = overlay.named(workload.kind, workload.name)
    annotations = thing["spec"]["template"]["metadata"].get("annotations", {})
    return annotations.get("linkerd.io/inject") == "enabled"


def callable_names(overlay, workload):
    """What callers know it by: its Services, but for the one that is scraped."""
    for service in overlay.of_kind("Service"):
        chosen = selects({"matchLabels": service["spec"].get("selector", {})}, workload.labels)
        if chosen and any(port["name"] == "grpc" for port in service["spec"]["ports"]):
            yield service["metadata"]["name"], service["metadata"]["namespace"]


def once(overlay, program):
    for workload in replicated(overlay):
        own = bool(setting(overlay, program, server(workload), CERTIFICATE))
        if own == injected(overlay, workload):
            text = "by itself and by a proxy" if own else "by nobody"
            yield Finding("encrypted-once", workload.where, f"what it says is encrypted {text}")


def plain_health(overlay, program):
    """Probes of Kubernetes speak no TLS (KEP-2727)."""
    for workload in overlay.servers():
        container = server(workload)
        if not setting(overlay, program, container, CERTIFICATE):
            continue
        address = setting(overlay, program, container, HEALTH)
        asked = {container[field]["grpc"]["port"] for field in PROBES}
        if not address or asked != {port_of(address)}:
            text = "its probes meet TLS, which they do not speak"
            yield Finding("plain-health", workload.where, text)


def names(overlay, program):
    """A certificate holds for every name that callers have for the service."""
    for workload in replicated(overlay):
        if not setting(overlay, program, server(workload), CERTIFICATE):
            continue
        mounted = {v["secret"]["secretName"] for v in workload.pod["volumes"] if "secret" in v}
        certificates = [
            c["spec"] for c in overlay.of_kind("Certificate") if c["spec"]["secretName"] in mounted
        ]
        held = {name for certificate in certificates for name in certificate["dnsNames"]}
        for service, namespace in callable_names(overlay, workload):
            if f"{service}.{namespace}.svc" not in held:
                text = f"it does not hold for {service}"
                yield Finding("certificate-names", workload.where, text)
        for certificate in certificates:
            identity = f"/ns/{overlay.named('Namespace', namespace)['metadata']['name']}/sa/"
            identity += workload.pod["serviceAccountName"]
            if not any(uri.endswith(identity) for uri in certificate.get("uris", [])):
                yield Finding("certificate-names", workload.where, "it does not say who it is")


def keys(overlay, program):
    """Who asks another for keys asks as the other answers: over TLS, or not."""
    by_name = {w.name: w for w in replicated(overlay)}
    for workload in replicated(overlay):
        for url in filter(None, overlay.environment(server(workload)).get(SOURCE, "").split(",")):
            host, scheme = urlsplit(url).hostname, urlsplit(url).scheme
            asked = by_name.get(host.split(".")[0])
            if not asked:
                continue
            speaks = bool(setting(overlay, program, server(asked), CERTIFICATE))
            certificates = [
                c for c in overlay.of_kind("Certificate") if host in c["spec"]["dnsNames"]
            ]
            if speaks != (scheme == "https") or (speaks and not certificates):
                yield Finding("keys-over-tls", workload.where, f"{host} does not answer {url}")


RULES = [once, plain_health, names, keys]
