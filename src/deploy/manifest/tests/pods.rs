//! What each key of the profile changes in the pods.

use super::keys::{difference, keys, web};
use super::*;

keys! {
    command: web(|web| {
        web.command = Some(words(&["sh", "-c", "echo $HOME $(X)"]));
        web.args = Some(words(&["a"]));
    }) => r#"
        + container args[0]: "a"
        + container command[0]: "sh"
        + container command[1]: "-c"
        + container command[2]: "echo $$HOME $$(X)"
    "#;
    development_synced: web(|web| web.development = Some(Development { supervised: None })) => r#"
        + deployment web spec template annotation coracle.dev/development: "synced"
    "#;
    development_supervised: web(|web| {
        let argv = words(&["flask", "run", "$(X)"]);
        let supervised = Supervised { helper: "/opt/helper-1".to_owned(), argv, stop_signal: 3 };
        web.development = Some(Development { supervised: Some(supervised) });
        web.command = Some(words(&["it is a part of argv"]));
    }) => r#"
        + deployment web spec template annotation coracle.dev/development: "supervised"
        + container command[0]: "/.coracle/helper"
        + container command[1]: "supervise"
        + container command[2]: "--stop-signal"
        + container command[3]: "3"
        + container command[4]: "--grace-ms"
        + container command[5]: "2000"
        + container command[6]: "--"
        + container command[7]: "flask"
        + container command[8]: "run"
        + container command[9]: "$$(X)"
        + container volumeMounts[coracle-helper] mountPath: "/.coracle/helper"
        + container volumeMounts[coracle-helper] name: "coracle-helper"
        + container volumeMounts[coracle-helper] readOnly: true
        + pod volumes[coracle-helper] hostPath path: "/opt/helper-1"
        + pod volumes[coracle-helper] hostPath type: "File"
        + pod volumes[coracle-helper] name: "coracle-helper"
    "#;
    env: web(|web| web.env = vec![("B".to_owned(), "a$$b".to_owned()), ("A".to_owned(), "{x}".to_owned())]) => r#"
        + container env[B] name: "B"
        + container env[B] value: "a$$$$b"
        + container env[A] name: "A"
        + container env[A] value: "{x}"
    "#;
    secrets: difference(|profile, material| {
        profile.services[0].secrets = vec![("TOKEN".to_owned(), SecretSource::Env("T".to_owned()))];
        material.secrets = [("web".to_owned(), [("TOKEN".to_owned(), b"s3cret".to_vec())].into())].into();
    }) => r#"
        + secret web-2dd50793f65c
        + secret web-2dd50793f65c data TOKEN: "czNjcmV0"
        + secret web-2dd50793f65c type: "Opaque"
        + container env[TOKEN] name: "TOKEN"
        + container env[TOKEN] valueFrom secretKeyRef key: "TOKEN"
        + container env[TOKEN] valueFrom secretKeyRef name: "web-2dd50793f65c"
    "#;
    files: difference(|_, material| {
        let files = [("/etc/a b.ini".to_owned(), b"x=1".to_vec()), ("/k".to_owned(), vec![0xff])];
        material.files = [("web".to_owned(), files.into())].into();
    }) => r#"
        + configmap web-files-f238b2bad0e9
        + configmap web-files-f238b2bad0e9 binaryData 399a8038-k: "/w=="
        + configmap web-files-f238b2bad0e9 data 03e72206-a_b.ini: "x=1"
        + container volumeMounts[coracle-files] mountPath: "/etc/a b.ini"
        + container volumeMounts[coracle-files] name: "coracle-files"
        + container volumeMounts[coracle-files] readOnly: true
        + container volumeMounts[coracle-files] subPath: "03e72206-a_b.ini"
        + container volumeMounts[coracle-files] mountPath: "/k"
        + container volumeMounts[coracle-files] name: "coracle-files"
        + container volumeMounts[coracle-files] readOnly: true
        + container volumeMounts[coracle-files] subPath: "399a8038-k"
        + pod volumes[coracle-files] configMap name: "web-files-f238b2bad0e9"
        + pod volumes[coracle-files] name: "coracle-files"
    "#;
    resources: web(|web| web.resources.limits = map(&[("memory", "64Mi")])) => r#"
        + container resources limits memory: "64Mi"
    "#;
    health_http: web(|web| web.readiness = Some(probe(ProbeCheck::Http { path: "/ok".to_owned(), port: 5000 }))) => r#"
        - container readinessProbe tcpSocket port: 5000
        + container readinessProbe httpGet path: "/ok"
        + container readinessProbe httpGet port: 5000
    "#;
    readiness: web(|web| {
        let grpc = probe(ProbeCheck::Grpc { port: 1 });
        web.readiness = Some(Probe { successes: 2, delay: Duration::from_millis(1500), ..grpc });
    }) => r"
        - container readinessProbe tcpSocket port: 5000
        + container readinessProbe grpc port: 1
        + container readinessProbe initialDelaySeconds: 2
        + container readinessProbe successThreshold: 2
    ";
    liveness: web(|web| {
        let exec = probe(ProbeCheck::Exec { command: words(&["ls"]) });
        web.liveness = Some(Probe { successes: 2, ..exec });
    }) => r#"
        + container livenessProbe exec command[0]: "ls"
        + container livenessProbe failureThreshold: 3
        + container livenessProbe periodSeconds: 1
        + container livenessProbe timeoutSeconds: 1
    "#;
    startup: web(|web| web.startup = Some(Probe { failures: 60, ..probe(ProbeCheck::Tcp { port: 5000 }) })) => r"
        + container startupProbe failureThreshold: 60
        + container startupProbe periodSeconds: 1
        + container startupProbe tcpSocket port: 5000
        + container startupProbe timeoutSeconds: 1
    ";
    grace: web(|web| web.grace = Duration::from_secs(2)) => r"
        - container lifecycle preStop sleep seconds: 3
        - pod terminationGracePeriodSeconds: 10
        + container lifecycle preStop sleep seconds: 1
        + pod terminationGracePeriodSeconds: 2
    ";
    no_grace: web(|web| web.grace = Duration::ZERO) => r"
        - container lifecycle preStop sleep seconds: 3
        - pod terminationGracePeriodSeconds: 10
        + pod terminationGracePeriodSeconds: 0
    ";
    volumes: web(|web| web.volumes = vec![Volume { storage_class: Some("rbd".to_owned()), ..volume("data") }]) => r#"
        - deployment web spec strategy rollingUpdate maxSurge: "25%"
        - deployment web spec strategy rollingUpdate maxUnavailable: 0
        - deployment web spec strategy type: "RollingUpdate"
        + persistentvolumeclaim web-data
        + persistentvolumeclaim web-data spec accessModes[0]: "ReadWriteOnce"
        + persistentvolumeclaim web-data spec resources requests storage: "1Gi"
        + persistentvolumeclaim web-data spec storageClassName: "rbd"
        + deployment web spec strategy type: "Recreate"
        + container volumeMounts[data] mountPath: "/data"
        + container volumeMounts[data] name: "data"
        + pod volumes[data] name: "data"
        + pod volumes[data] persistentVolumeClaim claimName: "web-data"
    "#;
    shared_volume: web(|web| web.volumes = vec![Volume { access: "ReadWriteMany".to_owned(), ..volume("data") }]) => r#"
        + persistentvolumeclaim web-data
        + persistentvolumeclaim web-data spec accessModes[0]: "ReadWriteMany"
        + persistentvolumeclaim web-data spec resources requests storage: "1Gi"
        + container volumeMounts[data] mountPath: "/data"
        + container volumeMounts[data] name: "data"
        + pod volumes[data] name: "data"
        + pod volumes[data] persistentVolumeClaim claimName: "web-data"
    "#;
    volume_of_others: web(|web| web.volumes = vec![Volume { claim: Some("lab".to_owned()), ..volume("data") }]) => r#"
        + container volumeMounts[data] mountPath: "/data"
        + container volumeMounts[data] name: "data"
        + pod volumes[data] name: "data"
        + pod volumes[data] persistentVolumeClaim claimName: "lab"
    "#;
    mounts: web(|web| {
        let (claim, path, sub_path) = ("lab".to_owned(), "/lab".to_owned(), Some("me".to_owned()));
        web.mounts = vec![Mount { claim, path, sub_path, read_only: true }];
    }) => r#"
        + container volumeMounts[claim-lab] mountPath: "/lab"
        + container volumeMounts[claim-lab] name: "claim-lab"
        + container volumeMounts[claim-lab] readOnly: true
        + container volumeMounts[claim-lab] subPath: "me"
        + pod volumes[claim-lab] name: "claim-lab"
        + pod volumes[claim-lab] persistentVolumeClaim claimName: "lab"
    "#;
    init: web(|web| {
        web.env = vec![("A".to_owned(), "1".to_owned())];
        web.init = vec![container("migrate", None)];
    }) => r#"
        - deployment web spec template annotation coracle.dev/image: "web=build"
        + deployment web spec template annotation coracle.dev/image: "web=build,migrate=build"
        + container env[A] name: "A"
        + container env[A] value: "1"
        + pod initContainers[migrate] command[0]: "true"
        + pod initContainers[migrate] env[A] name: "A"
        + pod initContainers[migrate] env[A] value: "1"
        + pod initContainers[migrate] image: "coracle.local/demo/web:1"
        + pod initContainers[migrate] imagePullPolicy: "Never"
        + pod initContainers[migrate] name: "migrate"
    "#;
    sidecars: web(|web| web.sidecars = vec![container("aside", Some("busybox:latest"))]) => r#"
        - deployment web spec template annotation coracle.dev/image: "web=build"
        + deployment web spec template annotation coracle.dev/image: "web=build,aside=busybox:latest"
        + pod initContainers[aside] command[0]: "true"
        + pod initContainers[aside] image: "busybox:latest"
        + pod initContainers[aside] imagePullPolicy: "IfNotPresent"
        + pod initContainers[aside] name: "aside"
        + pod initContainers[aside] restartPolicy: "Always"
    "#;
    node_selector: web(|web| web.node_selector = map(&[("disk", "ssd")])) => r#"
        + pod nodeSelector disk: "ssd"
    "#;
    tolerations: web(|web| web.tolerations = vec![json!({"key": "gpu"})]) => r#"
        + pod tolerations[0] key: "gpu"
    "#;
    service_account: web(|web| web.service_account = Some("bot".to_owned())) => r#"
        - pod automountServiceAccountToken: false
        + pod serviceAccountName: "bot"
    "#;
    restricted: web(|web| web.security = Some(Security { restricted: true, ..Security::default() })) => r#"
        + container securityContext allowPrivilegeEscalation: false
        + container securityContext capabilities drop[0]: "ALL"
        + container securityContext runAsNonRoot: true
        + pod securityContext runAsNonRoot: true
        + pod securityContext seccompProfile type: "RuntimeDefault"
    "#;
    security: web(|web| web.security = Some(Security {
        restricted: false, user: Some(7), group: Some(8), read_only_root: true,
        add_capabilities: words(&["SYS_TIME"]), drop_capabilities: words(&["KILL"]),
    })) => r#"
        + container securityContext capabilities add[0]: "SYS_TIME"
        + container securityContext capabilities drop[0]: "KILL"
        + container securityContext readOnlyRootFilesystem: true
        + pod securityContext fsGroup: 8
        + pod securityContext runAsGroup: 8
        + pod securityContext runAsUser: 7
    "#;
}
