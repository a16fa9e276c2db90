"""Manifests that are wrong, each in one place, and the rule that has to refuse them.

A line is (what is wrong, in which overlay, by which rule it is refused, how to break it)."""

from overlays import TEMPLATES

GRPC = "grpc"
CERTIFICATE = "COUNTERSIGN_SERVER__TLS__CERTIFICATE_FILE"
SOURCE = "COUNTERSIGN_KEYS__SOURCE"


def pod(overlay, kind="Deployment", name="auth"):
    thing = overlay.named(kind, name)
    for key in TEMPLATES[kind]:
        thing = thing[key]
    return thing["spec"]


def container(overlay, kind="Deployment", name="auth"):
    return pod(overlay, kind, name)["containers"][0]


def spec(overlay, kind, name):
    return overlay.named(kind, name)["spec"]


def environment(overlay, start, variable):
    """The ConfigMap with this variable, of those whose names start so."""
    maps = overlay.of_kind("ConfigMap")
    return next(
        m["data"] for m in maps if m["metadata"]["name"].startswith(start) and variable in m["data"]
    )


def change(place, key, value):
    """Breaks by setting `key` of what `place` finds."""
    return lambda overlay: place(overlay).__setitem__(key, value)


def remove(place, key):
    return lambda overlay: place(overlay).__delitem__(key)


def add(place, value):
    return lambda overlay: place(overlay).append(value)


def lose(kind, name):
    return lambda overlay: overlay.objects.remove(overlay.named(kind, name))


def context(overlay):
    return container(overlay)["securityContext"]


def settings(overlay):
    return environment(overlay, "server-", "COUNTERSIGN_LISTEN")


def rename(overlay):
    data = settings(overlay)
    data["COUNTERSIGN_LISTENS"] = data.pop("COUNTERSIGN_LISTEN")


def volume(name):
    return lambda overlay: next(v for v in pod(overlay)["volumes"] if v["name"] == name)["secret"]


def policy(name, direction):
    return lambda overlay: spec(overlay, "NetworkPolicy", name)[direction][0]


def host_path(path):
    return add(lambda o: pod(o)["volumes"], {"name": "host", "hostPath": {"path": path}})


def alert(overlay):
    return spec(overlay, "PrometheusRule", "countersign")["groups"][0]["rules"][0]


def draw(overlay):
    boards = environment(overlay, "dashboards-", "calls.json")
    boards["calls.json"] = boards["calls.json"].replace("countersign_guard_", "countersign_gard_")


def url(overlay):
    return spec(overlay, "ExternalSecret", "auth-db")["target"]["template"]["data"]


BROKEN = [
    # Kubernetes and the operators would refuse it, or ignore it.
    ("a misspelt field", "prod", "schema", change(pod, "terminationGracePeriod", 60)),
    ("a text for a number", "dev", "schema", change(lambda o: spec(o, "StatefulSet", "countersign"), "replicas", "one")),
    ("an unknown kind", "prod", "schema", change(lambda o: o.named("Service", "auth"), "kind", "Servise")),
    ("a field that no operator knows", "prod", "schema", change(lambda o: spec(o, "Cluster", "auth-db"), "instanzes", 3)),
    ("a commit on one machine", "prod", "schema", remove(lambda o: spec(o, "Cluster", "auth-db")["postgresql"], "synchronous")),
    ("a stream in memory", "prod", "schema", remove(lambda o: spec(o, "Stream", "events"), "storage")),
    ("a schedule of five fields", "prod", "schema", change(lambda o: spec(o, "ScheduledBackup", "auth-db"), "schedule", "0 2 * * *")),
    ("a backup in the clear", "prod", "schema", remove(lambda o: spec(o, "ObjectStore", "backups")["configuration"]["data"], "encryption")),
    # kube-linter.
    ("a Service for nobody", "prod", "dangling-service", change(lambda o: spec(o, "Service", "auth"), "selector", {"app": "x"})),
    ("the old name of a field", "prod", "deprecated-service-account-field", change(pod, "serviceAccount", "auth")),
    ("the socket of a runtime", "prod", "docker-sock", host_path("/run/docker.sock")),
    ("a folder of the node", "prod", "sensitive-host-mounts", host_path("/etc")),
    ("raw packets", "prod", "drop-net-raw-capability", change(context, "capabilities", {"drop": ["CHOWN"]})),
    ("a variable twice", "prod", "duplicate-env-var", change(container, "env", [{"name": "TZ", "value": "UTC"}] * 2)),
    ("a secret as a value", "prod", "env-var-secret", change(container, "env", [{"name": "MY_SECRET", "value": "x"}])),
    ("the node's processes", "prod", "host-pid", change(pod, "hostPID", True)),
    ("the node's memory", "prod", "host-ipc", change(pod, "hostIPC", True)),
    ("the node's network", "prod", "host-network", change(pod, "hostNetwork", True)),
    ("a port that no pod has", "prod", "invalid-target-ports", change(lambda o: spec(o, "Service", "auth")["ports"][0], "targetPort", "http")),
    ("a Job that stays", "prod", "job-ttl-seconds-after-finished", remove(lambda o: spec(o, "Job", "migrate-auth"), "ttlSecondsAfterFinished")),
    ("the latest image", "prod", "latest-tag", change(container, "image", "registry.example.com/countersign:latest")),
    ("an image without a version", "prod", "latest-tag", change(container, "image", "registry.example.com:5000/countersign")),
    ("life at another port", "prod", "liveness-port", change(lambda o: container(o)["livenessProbe"][GRPC], "port", 1)),
    ("readiness at another port", "prod", "readiness-port", change(lambda o: container(o)["readinessProbe"][GRPC], "port", 1)),
    ("a start at another port", "prod", "startup-port", change(lambda o: container(o)["startupProbe"][GRPC], "port", 1)),
    ("a selector of others", "prod", "mismatching-selector", change(lambda o: spec(o, "Deployment", "auth")["selector"], "matchLabels", {"app": "x"})),
    ("all on one node", "prod", "no-anti-affinity", remove(pod, "affinity")),
    ("an API that is gone", "prod", "no-extensions-v1beta", change(lambda o: o.named("Deployment", "auth"), "apiVersion", "extensions/v1beta1")),
    ("a root that can be written", "prod", "no-read-only-root-fs", change(context, "readOnlyRootFilesystem", False)),
    ("an account that is missing", "prod", "non-existent-service-account", lose("ServiceAccount", "auth")),
    ("nodes that cannot be drained", "prod", "pdb-max-unavailable", change(lambda o: spec(o, "PodDisruptionBudget", "auth"), "maxUnavailable", 0)),
    ("more privileges", "prod", "privilege-escalation-container", remove(context, "allowPrivilegeEscalation")),
    ("all privileges", "prod", "privileged-container", change(context, "privileged", True)),
    ("root", "prod", "run-as-non-root", change(context, "runAsUser", 0)),
    ("SSH", "prod", "ssh-port", add(lambda o: container(o)["ports"], {"containerPort": 22})),
    ("a sysctl", "prod", "unsafe-sysctls", change(lambda o: pod(o)["securityContext"], "sysctls", [{"name": "net.core.somaxconn", "value": "1"}])),
    ("no processor", "prod", "unset-cpu-requirements", remove(lambda o: container(o)["resources"]["requests"], "cpu")),
    ("no bound of memory", "prod", "unset-memory-requirements", remove(lambda o: container(o)["resources"]["limits"], "memory")),
    # What the executable takes.
    ("a role that there is not", "prod", "arguments", change(container, "args", ["auht"])),
    ("an argument that there is not", "prod", "arguments", change(lambda o: container(o, "Job", "migrate-auth"), "args", ["migrate", "audit"])),
    ("a setting with another name", "prod", "variables", rename),
    ("a value that is refused", "prod", "variables", change(settings, "COUNTERSIGN_SERVER__DRAIN_TIMEOUT", "20 minutes")),
    ("a name that health does not know", "prod", "health", change(lambda o: container(o)["readinessProbe"][GRPC], "service", "countersign.user.v1.ProfileService")),
    ("life that ends with the database", "prod", "health", change(lambda o: container(o)["livenessProbe"][GRPC], "service", "")),
    ("readiness that ends with the broker", "prod", "health", change(lambda o: container(o)["readinessProbe"][GRPC], "service", "countersign.bus")),
    ("a probe of the port alone", "dev", "health", change(lambda o: container(o, "StatefulSet", "countersign"), "livenessProbe", {"tcpSocket": {"port": 50051}})),
    # What is named and not there.
    ("settings that are missing", "prod", "config-maps", lambda o: o.objects.remove(o.of_kind("ConfigMap")[0])),
    ("a secret that nobody makes", "prod", "secret-volumes", lose("ExternalSecret", "master-key")),
    ("a key that the secret has not", "prod", "secret-volumes", change(lambda o: volume("database")(o)["items"][0], "key", "uri")),
    ("a secret for everybody", "prod", "secret-volumes", change(volume("master-key"), "defaultMode", 0o444)),
    ("a file somewhere else", "prod", "secret-files", change(lambda o: environment(o, "auth-", "COUNTERSIGN_MASTER_KEY_FILE"), "COUNTERSIGN_MASTER_KEY_FILE", "/run/secrets/key")),
    ("a secret as a variable", "prod", "secrets-only-as-files", change(container, "env", [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "auth-db", "key": "password"}}}])),
    ("a scaler of nothing", "prod", "targets", change(lambda o: spec(o, "HorizontalPodAutoscaler", "auth")["scaleTargetRef"], "name", "x")),
    ("a database that nobody backs up", "prod", "databases", lose("ScheduledBackup", "user-db")),
    ("keys from nowhere", "prod", "hosts", change(lambda o: environment(o, "user-", "COUNTERSIGN_KEYS__SOURCE"), "COUNTERSIGN_KEYS__SOURCE", "http://auth:50052")),
    ("a database that is not verified", "prod", "hosts", change(url, "url", "postgres://auth@auth-db-rw:5432/auth?sslmode=require")),
    # The network.
    ("an open network", "prod", "everything-is-denied", lose("NetworkPolicy", "deny-all")),
    ("a policy for nobody", "prod", "policies-select", change(lambda o: spec(o, "NetworkPolicy", "auth-from-user"), "podSelector", {"matchLabels": {"app": "x"}})),
    ("a policy for all ports", "prod", "named-flows", remove(policy("servers-to-nats", "egress"), "ports")),
    ("a way in for everybody", "prod", "named-flows", remove(policy("auth-from-user", "ingress"), "from")),
    ("a door that is closed", "prod", "both-ends", lose("NetworkPolicy", "auth-from-user")),
    ("a way that is closed", "prod", "needed-flows", lose("NetworkPolicy", "auth-to-database")),
    ("keys that are out of reach", "prod", "needed-flows", lose("NetworkPolicy", "user-to-auth")),
    # Who encrypts.
    ("a server in the clear", "prod", "encrypted-once", remove(lambda o: environment(o, "tls-", CERTIFICATE), CERTIFICATE)),
    ("encryption twice", "mesh", "encrypted-once", change(settings, CERTIFICATE, "/run/secrets/tls/tls.crt")),
    ("probes that meet TLS", "prod", "plain-health", change(lambda o: container(o)["readinessProbe"][GRPC], "port", 50051)),
    ("a certificate for another name", "prod", "certificate-names", change(lambda o: spec(o, "Certificate", "auth-tls"), "dnsNames", ["auth"])),
    ("a certificate for somebody else", "prod", "certificate-names", change(lambda o: spec(o, "Certificate", "auth-tls"), "uris", ["spiffe://cluster.local/ns/countersign/sa/user"])),
    ("keys in the clear", "prod", "keys-over-tls", change(lambda o: environment(o, "keys-", SOURCE), SOURCE, "http://auth:50051")),
    ("a certificate that nobody renews", "prod", "schema", remove(lambda o: spec(o, "Certificate", "auth-tls"), "renewBefore")),
    # Who looks.
    ("metrics for nobody", "prod", "scraped", lose("ServiceMonitor", "countersign")),
    ("metrics at another port", "prod", "scraped", change(settings, "COUNTERSIGN_TELEMETRY__METRICS_LISTEN", "0.0.0.0:9465")),
    ("metrics out of reach", "mesh", "scraped", lose("NetworkPolicy", "servers-from-prometheus")),
    ("a collector out of reach", "prod", "collected", lose("NetworkPolicy", "servers-to-collector")),
    ("no alarm", "prod", "alerts", lose("PrometheusRule", "countersign")),
    ("an alert on nothing", "prod", "alerts", change(alert, "expr", "countersign_nothing > 0")),
    ("an alert without a page", "prod", "alerts", change(lambda o: alert(o)["annotations"], "runbook_url", "https://git.example.com/")),
    ("an alert for nobody", "prod", "schema", change(alert, "labels", {})),
    ("a scrape of something else", "prod", "schema", change(lambda o: spec(o, "ServiceMonitor", "countersign")["endpoints"][0], "path", "/")),
    ("a panel of nothing", "prod", "dashboards", draw),
    # This house.
    ("a token of the cluster", "prod", "confined", change(pod, "automountServiceAccountToken", True)),
    ("variables of Services", "dev", "confined", remove(lambda o: pod(o, "StatefulSet", "countersign"), "enableServiceLinks")),
    ("secrets that cannot be read", "prod", "confined", remove(lambda o: pod(o)["securityContext"], "fsGroup")),
    ("a namespace for any pod", "dev", "confined", change(lambda o: o.named("Namespace", "countersign")["metadata"]["labels"], "pod-security.kubernetes.io/enforce", "baseline")),
    ("something elsewhere", "prod", "one-namespace", change(lambda o: o.named("Service", "auth")["metadata"], "namespace", "default")),
    ("two versions", "prod", "one-image", change(lambda o: container(o, "Job", "migrate-auth"), "image", "registry.example.com/countersign:0.0.9")),
    ("too little grace", "prod", "grace", change(pod, "terminationGracePeriodSeconds", 30)),
    ("no word before the end", "prod", "grace", remove(container, "lifecycle")),
    ("an upgrade that takes replicas away", "prod", "replaced-one-by-one", change(lambda o: spec(o, "Deployment", "auth")["strategy"]["rollingUpdate"], "maxUnavailable", 1)),
    ("two replicas", "prod", "replaced-one-by-one", change(lambda o: spec(o, "HorizontalPodAutoscaler", "auth"), "minReplicas", 2)),
    ("nobody who migrates", "prod", "migrated-once", lose("Job", "migrate-user")),
    ("everybody who migrates", "prod", "migrated-once", change(settings, "COUNTERSIGN_DATABASE__MIGRATE_AT_START", "true")),
    ("too few connections", "prod", "connections", change(lambda o: spec(o, "HorizontalPodAutoscaler", "auth"), "maxReplicas", 30)),
    ("more threads than processors", "prod", "threads", change(lambda o: environment(o, "auth-", "COUNTERSIGN_MASTER_KEY_FILE"), "COUNTERSIGN_AUTH__HASHING__WORKERS", "4")),
    ("one client's share for all", "mesh", "one-peer", remove(settings, "COUNTERSIGN_SERVER__MAX_CONNECTIONS_PER_PEER")),
    ("a stream that forgets early", "prod", "stream", change(lambda o: spec(o, "Stream", "events"), "maxAge", "24h")),
    ("a stream that takes no large event", "prod", "stream", change(lambda o: spec(o, "Stream", "events"), "maxMsgSize", 65536)),
]  # fmt: skip
