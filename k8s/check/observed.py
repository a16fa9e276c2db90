"""Whether somebody sees how the servers are: scraped, alarmed, drawn, and reached for that."""

import json
import re

from house import server, setting
from overlays import HERE, Finding, selects
from promql import faults

RUNBOOKS = HERE.parent.parent / "docs" / "runbooks.md"
METRICS = "COUNTERSIGN_TELEMETRY__METRICS_LISTEN"
COLLECTOR = "COUNTERSIGN_TELEMETRY__OTLP_ENDPOINT"


def replicated(overlay):
    """Servers that are more than one pod; the single one is for trying out."""
    return [workload for workload in overlay.servers() if workload.kind == "Deployment"]


def port_of(address):
    return int(address.rsplit(":", 1)[1])


def open_to_others(overlay, workload, direction, port):
    """Whether a policy lets pods of other namespaces in, or these out to them, at this port."""
    verb = {"ingress": "from", "egress": "to"}[direction]
    for policy in overlay.of_kind("NetworkPolicy"):
        if not selects(policy["spec"]["podSelector"], workload.labels):
            continue
        for rule in policy["spec"].get(direction, []):
            outside = all("namespaceSelector" in peer for peer in rule.get(verb, []))
            if outside and port in {p["port"] for p in rule.get("ports", [])}:
                return True
    return False


def monitors(overlay, service):
    """The ports of a Service that somebody scrapes."""
    labels = service["metadata"].get("labels", {})
    for monitor in overlay.of_kind("ServiceMonitor"):
        if selects(monitor["spec"]["selector"], labels):
            yield from (endpoint["port"] for endpoint in monitor["spec"]["endpoints"])


def scraped(overlay, program):
    for workload in replicated(overlay):
        address = setting(overlay, program, server(workload), METRICS)
        if not address:
            yield Finding("scraped", workload.where, "nobody can ask for its metrics")
            continue
        port = port_of(address)
        names = {p["name"] for p in server(workload)["ports"] if p["containerPort"] == port}
        seen = False
        for service in overlay.of_kind("Service"):
            if not selects({"matchLabels": service["spec"].get("selector", {})}, workload.labels):
                continue
            asked = set(monitors(overlay, service))
            for one in service["spec"]["ports"]:
                seen |= one["name"] in asked and one["targetPort"] in names | {port}
        if not seen:
            yield Finding("scraped", workload.where, "no ServiceMonitor asks for its metrics")
        if not open_to_others(overlay, workload, "ingress", port):
            yield Finding("scraped", workload.where, f"port {port} is closed to who scrapes")


def collected(overlay, program):
    for workload in replicated(overlay):
        endpoint = setting(overlay, program, server(workload), COLLECTOR)
        if not endpoint or not open_to_others(overlay, workload, "egress", port_of(endpoint)):
            yield Finding("collected", workload.where, "its traces reach no collector")


def alerts(overlay, _):
    """Each can be evaluated, and says what to do."""
    pages = re.findall(r"^## (.+)$", RUNBOOKS.read_text(), flags=re.MULTILINE)
    named = []
    for thing in overlay.of_kind("PrometheusRule"):
        for group in thing["spec"]["groups"]:
            for rule in group["rules"]:
                where = f"{overlay.where(thing)}/{rule['alert']}"
                named.append(rule["alert"])
                yield from (Finding("alerts", where, text) for text in faults(rule["expr"]))
                page = rule["annotations"]["runbook_url"].partition("docs/runbooks.md#")[2]
                if page != rule["alert"].lower() or rule["alert"] not in pages:
                    yield Finding("alerts", where, "nothing says what to do about it")
    if named and sorted(named) != sorted(pages):
        yield Finding("alerts", overlay.name, f"a page for no alert: {set(pages) - set(named)}")
    if replicated(overlay) and not named:
        yield Finding("alerts", overlay.name, "nobody is alarmed")


def dashboards(overlay, _):
    drawn = [
        (name, json.loads(text))
        for thing in overlay.of_kind("ConfigMap")
        if thing["metadata"].get("labels", {}).get("grafana_dashboard")
        for name, text in thing["data"].items()
    ]
    if replicated(overlay) and not drawn:
        yield Finding("dashboards", overlay.name, "there is nothing to look at")
    for name, board in drawn:
        where, panels = f"{overlay.name}/{name}", board["panels"]
        if board["uid"] != f"countersign-{name.removesuffix('.json')}":
            yield Finding("dashboards", where, "its uid is not its name")
        if len({panel["id"] for panel in panels}) != len(panels):
            yield Finding("dashboards", where, "two panels have one id")
        for panel in panels:
            place = f"{where}: {panel['title']}"
            if not panel.get("description"):
                yield Finding("dashboards", place, "it does not say what it shows")
            for target in panel["targets"]:
                yield from (Finding("dashboards", place, text) for text in faults(target["expr"]))


RULES = [scraped, collected, alerts, dashboards]
