//! What a wrong profile is told. In the tables: the profile, then what it is told, each
//! with the text that is underlined, the message, and the help.

use super::problems;

type Cases = &'static [(&'static str, &'static [&'static str])];

const STRUCTURE: Cases = &[
    ("[]", &["[[] a profile is a section of `key: value` lines, not a list"]),
    ("[a, b]", &["[[] a profile is a section of `key: value` lines, not a list"]),
    ("a: b: c", &["[] this is not YAML that can be read: mapping values are not allowed in this context"]),
    (
        "services:\n\tweb: x",
        &[
            "[] this is not YAML that can be read: tabs disallowed within this context (block indentation) | YAML is indented with spaces, never with tabs",
        ],
    ),
    ("--- {name: a}\n--- {name: b}", &["[---] a second document begins here (`---`), and a profile is one"]),
    ("{services: {a: {image: *x}}}", &["[] this is not YAML that can be read: alias references unknown anchor"]),
    (
        "{nmae: a, sevices: {}, clutser: {}}",
        &[
            "[nmae] there is no key `nmae` in a profile | did you mean `name`?",
            "[sevices] there is no key `sevices` in a profile | did you mean `services`?",
            "[clutser] there is no key `clutser` in a profile | did you mean `cluster`?",
        ],
    ),
    ("{name: a}", &["[{] the profile has neither `services` nor `manifests`, so there is nothing to run"]),
    ("{services: {a: redis}}", &["[redis] `a` is a section of `key: value` lines, not the text `redis`"]),
    (
        "{services: {a: {image: x, ports: [{port: 0}, {port: 70000}, {port: 80, node-port: 29999}, {prot: 80}]}}}",
        &[
            "[0] `port` is a number from 1 to 65535, not 0",
            "[70000] `port` is a number from 1 to 65535, not 70000",
            "[29999] `node-port` is a number from 30000 to 30031, not 29999",
            "[{] `port` has no `port`",
            "[prot] there is no key `prot` in `port` | did you mean `port`?",
        ],
    ),
    (
        "{services: {a: {image: x, replicas: -1}, b: {image: x, replicas: '3'}, c: {image: x, replicas: many}, d: {image: x, replicas: 1.5}}}",
        &[
            "[-1] `replicas` is a number from 0 to 1000, not -1",
            "['3'] `replicas` is a whole number, not the text `3` | remove the quotes",
            "[many] `replicas` is a whole number, not the text `many`",
            "[1.5] `replicas` is a whole number, not `1.5`",
        ],
    ),
    ("{services: {web: {image: x}}, checks: [{get: /}]}", &["[{] `check` has no `service`"]),
];

const NAMES: Cases = &[
    (
        "{name: My App, services: {a: {image: redis}}}",
        &["[My App] the name `My App` may only have the characters a-z, 0-9 and `-` | did you mean `my-app`?"],
    ),
    (
        "{name: kube-x, services: {a: {image: redis}}}",
        &["[kube-x] `kube-x` is no name for a profile | `kube-` is for Kubernetes' own namespaces"],
    ),
    (
        "{name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, services: {a: {image: redis}}}",
        &[
            "[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa] the name `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` is 78 characters long; names have at most 63",
        ],
    ),
    (
        "{services: {Web_App: {image: redis}, 1st: {image: redis}}}",
        &[
            "[Web_App] the service name `Web_App` may only have the characters a-z, 0-9 and `-` | did you mean `web-app`?",
            "[1st] the service name `1st` begins with a digit | did you mean `app-1st`?",
        ],
    ),
    (
        "{services: {a: {image: x, labels: {'a b': c, d: 'e f'}, command: 'a \"b', security: strict, grace: long, path: x, source-ranges: [10.0.0.0/64]}}}",
        &[
            "['a b'] `a b` cannot be a key here: `name` or `domain.example/name`",
            "['e f'] the value `e f` is no label: at most 63 of a-z, A-Z, 0-9, `-`, `_` and `.`, the ends letters or digits",
            "['a \"b'] a quote is opened here and not closed",
            "[strict] `security` is `restricted` or a section, not `strict` | did you mean `restricted`?",
            "[long] `long` is no duration | such as `10`, `90s` or `5m`",
            "[x] the path `x` does not begin with `/` | did you mean `/x`?",
            "[10.0.0.0/64] `10.0.0.0/64` is no network | such as `10.0.0.0/8`",
        ],
    ),
    (
        "{services: {a: {image: x, init: [{name: A_B}, {name: c}, {name: c}]}}}",
        &[
            "[A_B] the container name `A_B` may only have the characters a-z, 0-9 and `-` | did you mean `a-b`?",
            "[c] there are two containers named `c`",
        ],
    ),
    (
        "{name-template: x, services: {a: {image: x}, b: {image: x}}}",
        &["[x] `a` and `b` are both named `x` | put `{service}` into the template"],
    ),
    (
        "{name-template: '{service}_x', services: {a: {image: x, service-name: 9}}}",
        &[
            "['{service}_x'] the name `a_x` that `name-template` gives to `a` may only have the characters a-z, 0-9 and `-`",
            "[9] the name `9` begins with a digit | did you mean `app-9`?",
        ],
    ),
];

const REACH: Cases = &[
    (
        "{services: {a: {image: x, ports: [0, 65536, 'a', '80:70000', '1:2:3']}}}",
        &["[0] `port` is a number from 1 to 65535, not 0", "[65536] `port` is a number from 1 to 65535, not 65536"],
    ),
    (
        "{services: {a: {image: x, ports: ['80:1', '80:2', {name: Api, port: 1}, {name: x, port: 2}, {name: x, port: 3}]}}}",
        &[
            "['80:2'] the port 80 is there twice",
            "[Api] the port name `Api` may only have the characters a-z, 0-9 and `-`",
            "[{] two ports are named `x`",
        ],
    ),
    (
        "{services: {a: {image: x, ports: [{port: 80, node-port: 30001}]}, b: {image: x, ports: [{port: 80, node-port: 30001}]}}}",
        &["[30001] the node port 30001 is `a`'s already | choose another from 30000 to 30031, or leave it to Coracle"],
    ),
    (
        "{services: {a: {image: x, expose: cluster, ports: [{port: 80, node-port: 30001}]}, b: {image: x, headless: true, expose: node-port, ports: [80]}, c: {image: x, expose: loadbalancer}}}",
        &[
            "[30001] a `node-port` is of no use with `expose: cluster` | remove one of the two",
            "[node-port] a headless service has no address to expose: `expose: cluster` or no `headless`",
            "[loadbalancer] `expose` is `cluster`, `node-port` or `load-balancer`, not `loadbalancer` | did you mean `load-balancer`?",
        ],
    ),
    (
        "{services: {a: {image: x, health: healthz, ports: [80]}, b: {image: x, health: tpc, ports: [80]}, c: {image: x, health: /h, ports: []}, d: {image: x, ports: [80], health: {path: x, tcp: true}, liveness: {period: soon}}}}",
        &[
            "[healthz] `health` is a path such as `/healthz`, `tcp`, `grpc`, `none` or a section, not `healthz` | did you mean `/healthz`?",
            "[tpc] `health` is a path such as `/tpc`, `tcp`, `grpc`, `none` or a section, not `tpc` | did you mean `tcp`?",
            "[health] `health` asks a port, but the service has none | add `ports:`, or a `port:` to it",
            "[health] `health` has more than one of `path`, `tcp`, `grpc` and `exec`",
            "[soon] `soon` is no duration | such as `10`, `90s` or `5m`",
        ],
    ),
];

const IMAGES: Cases = &[
    ("{services: {a: {}}}", &["[a] `a` has neither `build` nor `image` | there is a Dockerfile: `build: .`"]),
    (
        "{services: {webapp-1: {}}}",
        &["[webapp-1] `webapp-1` has neither `build` nor `image` | there is a Dockerfile: `build: webapp-1`"],
    ),
    (
        "{services: {a: {image: redis, build: .}}}",
        &["[redis] `a` has both `build` and `image` | keep one: Coracle names the images that it builds"],
    ),
    (
        "{services: {a: {image: Redis:7}, b: {image: ''}}}",
        &[
            "[Redis:7] `Redis:7` is no image: a name is in lower case | did you mean `redis:7`?",
            "[''] `` is no image: it has no name | such as `redis:7` or `registry.example/team/app:1.2`",
        ],
    ),
    (
        "{services: {a: {build: webap-1}, b: {build: {dockerfile: dockerfile}}, c: {build: ../..}, d: {build: 'https://x/y'}}}",
        &[
            "[webap-1] there is no folder `webap-1` | did you mean `webapp-1`?",
            "[dockerfile] there is no `dockerfile` in `.` | did you mean `Dockerfile`?",
            "[../..] `../..` lies outside of APP | a build may use the folder of the profile, or the git repository around it",
            "['https://x/y'] `https://x/y` is no folder on this machine | clone it beside the profile, and build that folder",
        ],
    ),
    (
        "{services: {a: {image: '{services.b.image}'}, b: {build: .}}}",
        &[
            "['{services.b.image}'] `{services.b.image}` has no value here | an image's name stands in `env` and in `build: {args: …}`",
        ],
    ),
    (
        "{services: {a: {build: {context: ., args: {BASE: '{services.r.image}'}}}, r: {image: 'redis:7'}}}",
        &[
            "['{services.r.image}'] `r` is not built here, so a build cannot be given its image | write its reference: `BASE: redis:7`",
        ],
    ),
    (
        "{services: {a: {build: {context: ., args: {B: '{services.b.image}'}}}, b: {build: {context: ., args: {A: '{services.a.image}'}}}}}",
        &["[args] these services would have to be built before each other: a → b → a"],
    ),
    (
        "{services: {a: {image: x, sync: ['**/*.py > /app', '*.py -> app', '/a -> /b'], ports: [80]}, b: {image: x, sync: infr}}}",
        &[
            "['**/*.py > /app'] `**/*.py > /app` is no rule | write `PATTERN -> PATH`, such as `**/*.py -> /workspace`",
            "['*.py -> app'] the path `app` in the container does not begin with `/` | did you mean `/app`?",
            "['/a -> /b'] `/a` is no pattern for files of the build context | such as `**/*.py` or `src/**`",
            "[infr] `sync` is `infer` or a list of rules, not `infr` | did you mean `infer`?",
        ],
    ),
];

const REST: Cases = &[
    (
        "{services: {a: {image: x, resources: {cpu: half, memory: 1 GB}}}}",
        &[
            "[half] `cpu` is a quantity, not `half` | such as `500m`, `2`, `256Mi` or `1Gi`",
            "[1 GB] `memory` is a quantity, not `1 GB` | did you mean `1Gi`?",
        ],
    ),
    (
        "{services: {a: {image: x, volumes: [{size: 1Gi, path: data}, {path: /d}, {claim: c, size: 1Gi, path: /e}, {name: data, size: 1Gi, path: /}, {size: 1Gi, path: /f, access: readWriteOnce}, {size: 1Gi, path: /f, access: RWX}]}}}",
        &[
            "[data] the path `data` in the container does not begin with `/` | did you mean `/data`?",
            "[{] the volume `data-2` has no `size` | such as `size: 1Gi`; or `claim:` for one that exists",
            "[1Gi] a claim that exists has its size already | remove `size` or `claim`",
            "[data] there are two volumes named `data`",
            "[/] nothing can be mounted over the container's `/`",
            "[readWriteOnce] `readWriteOnce` is no access mode | did you mean `ReadWriteOnce`?",
            "[/f] two things are mounted at `/f`",
            "[RWX] `RWX` is no access mode | did you mean `ReadWriteMany`?",
        ],
    ),
    (
        "{services: {a: {image: x, kind: cron}, b: {image: x, schedule: '* * * * *'}, c: {image: x, kind: cron, schedule: daily}, d: {image: x, kind: daemon}}}",
        &[
            "[cron] a `cron` needs a `schedule` | such as `schedule: \"*/5 * * * *\"`",
            "['* * * * *'] only a `cron` has a `schedule` | add `kind: cron`",
            "[daily] `daily` is no schedule: it has 1 fields, not 5 | minute, hour, day, month, weekday: `*/5 * * * *`",
            "[daemon] `kind` is `deployment`, `stateful`, `job` or `cron`, not `daemon`",
        ],
    ),
    (
        "{services: {a: {image: x, env: {A: '{env:UNSET_ONE}', B: '{services.bb.host}', C: '{services.b.port}', 'D=': 1, E: }}, b: {build: .}}}",
        &[
            "['{env:UNSET_ONE}'] the variable `UNSET_ONE` is not set, so `{env:UNSET_ONE}` has no value | `export UNSET_ONE=…` before coracle, or write the value into the profile",
            "['{services.bb.host}'] there is no service `bb`, so `{services.bb.host}` has no value | did you mean `b`?",
            "['{services.b.port}'] `{services.b.port}` has no value: the profile does not say which ports `b` has | give `b` its `ports:`",
            "['D='] `D=` cannot name a variable of the environment",
            "[E] `E` is a text, not nothing | an empty text is written `\"\"`",
        ],
    ),
    (
        "{labels: {x: '{service}'}, services: {a: {image: x}}}",
        &["['{service}'] `{service}` means something in a service only"],
    ),
    (
        "{services: {a: {image: x, after: [b]}, b: {image: x, after: [c]}, c: {image: x, after: [a, d]}}}",
        &["[a] these services would wait for each other forever: a → b → c → a", "[d] there is no service `d`"],
    ),
    (
        "{services: {a: {image: x, secrets: {A: {}, B: {env: X, file: y}}}}}",
        &[
            "[A] the secret `A` has no source | exactly one of `env`, `file` and `command`",
            "[B] the secret `B` has more than one source | exactly one of `env`, `file` and `command`",
        ],
    ),
    (
        "{services: {a: {image: x, files: {/a: ./nofile, b: webapp-1/Dockerfile, /c: webapp-1}}}}",
        &[
            "[./nofile] there is no file `./nofile`",
            "[b] the path `b` in the container does not begin with `/` | did you mean `/b`?",
            "[webapp-1] `webapp-1` is no file; each file has a line of its own",
        ],
    ),
    (
        "{services: {a: {image: x, rollout: {max-surge: 0, max-unavailable: lots, strategy: recrate}}}}",
        &[
            "[lots] `max-unavailable` is a number or a percentage such as `25%`, not `lots`",
            "[recrate] `strategy` is `rolling` or `recreate`, not `recrate` | did you mean `recreate`?",
        ],
    ),
    (
        "{services: {web: {image: x}}, checks: [{service: wbe, get: /}, {service: web}, {service: web, get: x, post: /}, {service: web, get: x, expect: {status: 99}}]}",
        &[
            "[wbe] there is no service `wbe` | did you mean `web`?",
            "[web] this check asks nothing | exactly one of `get`, `post`, `put`, `delete`, `patch` and `head`, with a path",
            "[web] this check asks in two ways | exactly one of `get`, `post`, `put`, `delete`, `patch` and `head`, with a path",
            "[x] the path `x` does not begin with `/` | did you mean `/x`?",
            "[99] `status` is a number from 100 to 599, not 99",
        ],
    ),
    (
        "{cluster: {nodes: 0, provider: minikub, kubernetes: newest, name: My_C}, services: {a: {image: x}}}",
        &[
            "[0] `nodes` is a number from 1 to 64, not 0",
            "[minikub] `provider` is `kind` or `minikube`, not `minikub` | did you mean `minikube`?",
            "[newest] `newest` is no version of Kubernetes | write `v1.33` or `v1.33.4`",
            "[My_C] the cluster name `My_C` may only have the characters a-z, 0-9 and `-` | did you mean `my-c`?",
        ],
    ),
    (
        "{services: {web: {image: x}}, environments: {local: {}, prod: {context: c, platform: amd64, registry: 'https://r', namespace: A_b, bind: x, pull-secret: {name: x, from: env}, services: {wbe: {}, web: {build: .}}}, test: {context: c, services: {web: {resources: {cpu: half}, ports: ['{env:NOT_HERE}']}}}}}",
        &[
            "[local] `local` is the laptop itself: an environment needs another name",
            "[local] this environment names no cluster | `context:` of your kubeconfig, or `kubeconfig:` with a file",
            "[amd64] `amd64` is no platform | did you mean `linux/amd64`?",
            "['https://r'] the registry `https://r` is written without a scheme | did you mean `r`?",
            "[A_b] the namespace `A_b` may only have the characters a-z, 0-9 and `-` | did you mean `a-b`?",
            "[x] `x` is no fingerprint | `sha256:` and what `coracle doctor` shows",
            "[env] `from: env` needs the key `env`",
            "[wbe] there is no service `wbe` | did you mean `web`?",
            "[.] an environment cannot change what is built, so `build` has no place here",
        ],
    ),
    (
        "{defaults: {replicas: 2, volumes: [{size: big, path: /d}]}, services: {a: {image: x}, b: {image: x}}}",
        &["[big] `size` is a quantity, not `big` | such as `500m`, `2`, `256Mi` or `1Gi`"],
    ),
];

#[test]
fn structure() {
    check(STRUCTURE);
}

#[test]
fn names() {
    check(NAMES);
}

#[test]
fn reach() {
    check(REACH);
}

#[test]
fn images() {
    check(IMAGES);
}

#[test]
fn rest() {
    check(REST);
}

fn check(cases: Cases) {
    for (text, told) in cases {
        assert_eq!(problems(text), *told, "{text}");
    }
}

#[test]
fn a_text_without_end_is_stopped() {
    let deep = format!("a: {}{}", "[".repeat(99), "]".repeat(99));
    assert_eq!(problems(&deep), ["[[] this is nested deeper than any profile is"]);
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let refs = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb = format!("{bomb}a{level}: &a{level} [{refs}]\n");
    }
    assert!(problems(&bomb)[0].contains("aliases (`*name`) that expand to too many"));
}
