"""The overlays as kustomize renders them, and what can be asked of the objects."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
OVERLAYS = HERE.parent / "overlays"
NAMES = ("dev", "prod", "mesh")

# Where the template of the pods is, in each kind that makes pods.
TEMPLATES = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}


@dataclass(frozen=True)
class Finding:
    """What is wrong, where, and by which rule."""

    rule: str
    where: str
    text: str

    def __str__(self):
        return f"{self.rule}: {self.where}: {self.text}"


@dataclass
class Workload:
    """Something that makes pods."""

    kind: str
    name: str
    spec: dict
    labels: dict
    pod: dict
    where: str

    @property
    def containers(self):
        return self.pod.get("initContainers", []) + self.pod["containers"]

    @property
    def is_server(self):
        return self.kind in ("Deployment", "StatefulSet")


class Overlay:
    """All objects of one overlay."""

    def __init__(self, name, objects):
        self.name = name
        self.objects = objects

    def of_kind(self, *kinds):
        return [thing for thing in self.objects if thing["kind"] in kinds]

    def named(self, kind, name):
        return next((t for t in self.of_kind(kind) if t["metadata"]["name"] == name), None)

    def where(self, thing):
        return f"{self.name}/{thing['kind']}/{thing['metadata']['name']}"

    def workloads(self):
        for thing in self.of_kind(*TEMPLATES):
            template = thing
            for key in TEMPLATES[thing["kind"]]:
                template = template[key]
            yield Workload(
                kind=thing["kind"],
                name=thing["metadata"]["name"],
                spec=thing["spec"],
                labels=template["metadata"].get("labels", {}),
                pod=template["spec"],
                where=self.where(thing),
            )

    def servers(self):
        return [workload for workload in self.workloads() if workload.is_server]

    def environment(self, container):
        """The variables of a container, those of its ConfigMaps included. A
        ConfigMap that is not there gives none: another rule finds it."""
        found = {}
        for source in container.get("envFrom", []):
            name = source.get("configMapRef", {}).get("name")
            found |= (self.named("ConfigMap", name) or {}).get("data", {})
        return found | {entry["name"]: entry.get("value", "") for entry in container.get("env", [])}


def render(kubectl, name):
    """Renders an overlay; kustomize needs no network for that."""
    command = [kubectl, "kustomize", str(OVERLAYS / name)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"overlay {name} cannot be rendered: {done.stderr.strip()}")
    return done.stdout


def parsed(name, text):
    return Overlay(name, [thing for thing in yaml.safe_load_all(text) if thing])


def selects(selector, labels):
    """Whether a label selector matches; an empty one matches everything."""
    wanted = selector.get("matchLabels", {})
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(
        labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", [])
    )
