"""Schemas of the fields that our manifests use, by the API reference of Kubernetes; others are refused."""

from typing import Any

TEXT: dict[str, Any] = {"type": "string"}
FLAG: dict[str, Any] = {"type": "boolean"}
NUMBER: dict[str, Any] = {"type": "integer", "minimum": 0}
PORT_NUMBER: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": 65535}
PORT: dict[str, Any] = {"anyOf": [TEXT, PORT_NUMBER]}
TEXTS: dict[str, Any] = {"type": "array", "items": TEXT}
#: A number of a resource, such as "500m" or "1Gi".
QUANTITY: dict[str, Any] = {"type": "string", "pattern": r"^\d+(\.\d+)?(m|Ki|Mi|Gi)?$"}
TEXT_MAP: dict[str, Any] = {"type": "object", "additionalProperties": TEXT}
QUANTITY_MAP: dict[str, Any] = {"type": "object", "additionalProperties": QUANTITY}


def one_of(*values: str) -> dict[str, Any]:
    return {"enum": list(values)}


def items(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema, "minItems": 1}


def record(*required: str, **fields: dict[str, Any]) -> dict[str, Any]:
    """An object with these fields and no others. A trailing underscore is not part of a field's name."""
    properties = {name.removesuffix("_"): schema for name, schema in fields.items()}
    return {
        "type": "object", "properties": properties, "required": list(required), "additionalProperties": False,
    }  # fmt: skip


SELECTOR = record("matchLabels", matchLabels=TEXT_MAP)
METADATA = record("name", name=TEXT, labels=TEXT_MAP, annotations=TEXT_MAP)
PROBE = record(
    "httpGet",
    httpGet=record("path", "port", path=TEXT, port=PORT),
    periodSeconds=NUMBER,
    timeoutSeconds=NUMBER,
    failureThreshold=NUMBER,
)
CONTAINER = record(
    "name",
    "image",
    name=TEXT,
    image=TEXT,
    ports=items(record("containerPort", name=TEXT, containerPort=PORT_NUMBER)),
    envFrom=items(record(secretRef=record("name", name=TEXT))),
    startupProbe=PROBE,
    livenessProbe=PROBE,
    readinessProbe=PROBE,
    resources=record(requests=QUANTITY_MAP, limits=QUANTITY_MAP),
    securityContext=record(
        allowPrivilegeEscalation=FLAG, readOnlyRootFilesystem=FLAG, capabilities=record(drop=TEXTS)
    ),
    volumeMounts=items(record("name", "mountPath", name=TEXT, mountPath=TEXT, readOnly=FLAG)),
)
POD = record(
    "containers",
    terminationGracePeriodSeconds=NUMBER,
    automountServiceAccountToken=FLAG,
    securityContext=record(
        runAsNonRoot=FLAG,
        runAsUser=NUMBER,
        runAsGroup=NUMBER,
        seccompProfile=record("type", type=one_of("RuntimeDefault", "Unconfined", "Localhost")),
    ),
    topologySpreadConstraints=items(
        record(
            "maxSkew",
            "topologyKey",
            "whenUnsatisfiable",
            maxSkew=NUMBER,
            topologyKey=TEXT,
            whenUnsatisfiable=one_of("ScheduleAnyway", "DoNotSchedule"),
            labelSelector=SELECTOR,
        )
    ),
    containers=items(CONTAINER),
    volumes=items(record("name", name=TEXT, configMap=record("name", name=TEXT))),
)


def document(api: str, kind: str, *required: str, **fields: dict[str, Any]) -> dict[str, Any]:
    given = {"apiVersion": {"const": api}, "kind": {"const": kind}, "metadata": METADATA, **fields}
    return record("apiVersion", "kind", *required, **given)


_BACKEND = record(service=record("name", "port", name=TEXT, port=record("name", name=TEXT)))
_PATH_TYPE = one_of("Prefix", "Exact", "ImplementationSpecific")
_PATH = record("pathType", "backend", path=TEXT, pathType=_PATH_TYPE, backend=_BACKEND)

SCHEMAS: dict[tuple[str, str], dict[str, Any]] = {
    ("apps/v1", "Deployment"): document(
        "apps/v1",
        "Deployment",
        "metadata",
        "spec",
        spec=record(
            "selector",
            "template",
            replicas=NUMBER,
            selector=SELECTOR,
            strategy=record(rollingUpdate=record(maxUnavailable=NUMBER, maxSurge=NUMBER)),
            template=record(
                "metadata", "spec", metadata=record(labels=TEXT_MAP, annotations=TEXT_MAP), spec=POD
            ),
        ),
    ),
    ("v1", "ConfigMap"): document("v1", "ConfigMap", "metadata", data=TEXT_MAP),
    ("v1", "Secret"): document("v1", "Secret", "metadata", type=TEXT, stringData=TEXT_MAP),
    ("v1", "Service"): document(
        "v1",
        "Service",
        "metadata",
        "spec",
        spec=record(
            "ports",
            selector=TEXT_MAP,
            sessionAffinity=one_of("ClientIP", "None"),
            ports=items(record("port", name=TEXT, port=PORT_NUMBER, targetPort=PORT)),
        ),
    ),
    ("networking.k8s.io/v1", "Ingress"): document(
        "networking.k8s.io/v1",
        "Ingress",
        "metadata",
        "spec",
        spec=record(
            ingressClassName=TEXT,
            rules=items(record(host=TEXT, http=record("paths", paths=items(_PATH)))),
            tls=items(record(hosts=TEXTS, secretName=TEXT)),
        ),
    ),
    ("policy/v1", "PodDisruptionBudget"): document(
        "policy/v1",
        "PodDisruptionBudget",
        "metadata",
        "spec",
        spec=record("selector", maxUnavailable=NUMBER, selector=SELECTOR),
    ),
    ("autoscaling/v2", "HorizontalPodAutoscaler"): document(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        "metadata",
        "spec",
        spec=record(
            "scaleTargetRef",
            "maxReplicas",
            scaleTargetRef=record("kind", "name", apiVersion=TEXT, kind=TEXT, name=TEXT),
            minReplicas=NUMBER,
            maxReplicas=NUMBER,
            metrics=items(
                record(
                    "type",
                    type=one_of("Resource"),
                    resource=record(
                        "name",
                        "target",
                        name=TEXT,
                        target=record("type", type=one_of("Utilization"), averageUtilization=NUMBER),
                    ),
                )
            ),
            behavior=record(
                scaleDown=record(
                    stabilizationWindowSeconds={"type": "integer", "minimum": 0, "maximum": 3600},
                    policies=items(
                        record(
                            "type",
                            "value",
                            "periodSeconds",
                            type=one_of("Pods", "Percent"),
                            value=NUMBER,
                            periodSeconds=NUMBER,
                        )
                    ),
                )
            ),
        ),
    ),
    ("networking.k8s.io/v1", "NetworkPolicy"): document(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        "metadata",
        "spec",
        spec=record(
            "podSelector",
            podSelector=SELECTOR,
            policyTypes=items(one_of("Ingress", "Egress")),
            ingress=items(
                record(from_=items(record(namespaceSelector=SELECTOR)), ports=items(record(port=PORT)))
            ),
        ),
    ),
    ("kustomize.config.k8s.io/v1beta1", "Kustomization"): record(
        "apiVersion", "kind", "resources", apiVersion=TEXT, kind=TEXT, resources=TEXTS
    ),
}
