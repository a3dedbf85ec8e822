use proptest::prelude::*;

use super::*;

fn of(text: &str) -> Dockerfile {
    with(text, None, &[])
}

fn with(text: &str, target: Option<&str>, args: &[(&str, &str)]) -> Dockerfile {
    let args = args.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    understand(Path::new("shop/web/Dockerfile"), text, target, &args).unwrap()
}

#[test]
fn bases_follow_build_args_and_leave_stages_out() {
    let text = "ARG PY=3\nARG TAG=${PY:-x}-slim\nFROM --platform=$BUILDPLATFORM golang:1 AS Build\nFROM node:20 AS unused\n\
                FROM python:${TAG}\nCOPY --from=build /a /a\nCOPY --from=busybox:1.36 /bin/sh /sh\n\
                RUN --mount=type=bind,from=alpine:3,target=/x true\nCOPY --from=0 /b /b\nCOPY --from=busybox:1.36 /c /c\n";
    assert_eq!(of(text).bases, ["golang:1", "python:3-slim", "busybox:1.36", "alpine:3"]);
    assert_eq!(with(text, None, &[("PY", "3.11")]).base.as_deref(), Some("python:3.11-slim"));
    assert_eq!(with(text, Some("UNUSED"), &[]).bases, ["node:20"]);
    assert_eq!(with(text, Some("0"), &[]).bases, ["golang:1"]);
}

#[test]
fn a_stage_on_a_stage_inherits() {
    let text = "ARG P=81\nFROM redis:7 AS base\nENV PORT=80\nARG P\nEXPOSE $PORT $P/tcp 53/udp\nCMD [\"x\"]\n\
                FROM BASE\nEXPOSE ${PORT}01 9000-9002 ${PORT}\n";
    let dockerfile = of(text);
    assert_eq!(dockerfile.exposed, [80, 81, 8001, 9000, 9001, 9002]);
    assert_eq!((dockerfile.base.as_deref(), dockerfile.has_command), (Some("redis:7"), true));
    assert_eq!(with(text, Some("base"), &[("P", "5")]).exposed, [80, 5]);
}

#[test]
fn args_of_no_stage_are_not_seen_in_a_stage() {
    assert_eq!(of("ARG P=80\nFROM x\nEXPOSE 1$P\n").exposed, [1]);
    assert_eq!(of("FROM scratch\nEXPOSE 80 0 x 70000 9-8 \"81\"\n").exposed, [80, 81]);
    let scratch = of("FROM scratch\nCOPY . .\n");
    assert_eq!((scratch.bases.len(), scratch.base, scratch.has_command), (0, None, false));
}

#[test]
fn unusual_spellings_are_read() {
    let text = "\u{feff}# syntax=docker/dockerfile:1\r\n# escape=`\r\nfrom redis:7 as A\r\nrun echo `\r\n  b\r\nFROM a\r\nexpose 6379\r\n";
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("D"), text).unwrap();
    let dockerfile = read(&folder.path().join("D"), None, &BTreeMap::new()).unwrap();
    assert_eq!((dockerfile.base.as_deref(), dockerfile.exposed), (Some("redis:7"), vec![6379]));
    assert_eq!(of("FROM a AS x\nFROM b AS x\nFROM x\n").base.as_deref(), Some("b"));
    assert_eq!(of("FROM x\nRUN <<EOF\nFROM y\nEOF\nCMD a\n").bases, ["x"]);
}

#[test]
fn probable_mistakes_have_file_and_line() {
    let text = "FROM python:3\nARG GITHUB_TOKEN\nENV TOKENIZERS=1 API_KEY=x\nENV PASSWORD_FILE /run/p\n\
                COPY . .\nRUN pip3 install flask\nRUN pip3 install x\nVOLUME [/workspace]\nVOLUME [\"/ok\"]\nENV DB_PASSWORD hunter2\n";
    assert_eq!(
        of(text).warnings.join("\n"),
        "web/Dockerfile:2: `ARG GITHUB_TOKEN` looks like a secret, and whoever has the image can read it; use \
         `RUN --mount=type=secret,id=…` for the build, `secrets:` of the profile for the service\n\
         web/Dockerfile:3: `ENV API_KEY` looks like a secret, and whoever has the image can read it; use \
         `RUN --mount=type=secret,id=…` for the build, `secrets:` of the profile for the service\n\
         web/Dockerfile:5: `COPY . .` comes before `pip3 install`, so every edit installs everything again; copy only \
         what it needs (`requirements.txt`) before it and the rest after it\n\
         web/Dockerfile:8: `VOLUME [/workspace]` is not JSON, so Docker makes a volume that is literally named \
         `[/workspace]`; write `VOLUME [\"/workspace\"]`\n\
         web/Dockerfile:10: `ENV DB_PASSWORD` looks like a secret, and whoever has the image can read it; use \
         `RUN --mount=type=secret,id=…` for the build, `secrets:` of the profile for the service"
    );
    for fine in [
        "FROM x\nCOPY requirements.txt .\nRUN pip install -r requirements.txt\nCOPY . .\n",
        "FROM x\nCOPY . .\nRUN pip install .\n",
        "FROM x\nCOPY . .\nRUN npm run build\n",
        "FROM x AS a\nCOPY . .\nFROM x\nRUN npm ci\n",
        "FROM x\nCOPY --from=a . .\nRUN npm ci\nENV SSH_PUBLIC_KEY=x\n",
    ] {
        assert_eq!(of(fine).warnings, Vec::<String>::new(), "{fine}");
    }
}

#[test]
fn steps_are_found_again() {
    let text = "ARG V=1\nFROM busybox AS builder\nWORKDIR /w\n# a comment\nRUN echo a && \\\n    # inside\n    echo b\n\
                COPY . .\nRUN pip install flask==${V}\nFROM builder\nCOPY . .\nRUN <<EOF\necho x\nEOF\nRUN echo \"$V\"\nRUN [\"a\", \"b\"]\n";
    let dockerfile = of(text);
    for (step, line) in [
        ("[builder 1/5] FROM docker.io/library/busybox:latest@sha256:0", Some(2)),
        ("[builder 2/5] WORKDIR /w", Some(3)),
        ("[builder 3/5] RUN echo a &&     echo b", Some(5)),
        ("[builder 4/5] COPY . .", Some(8)),
        ("[linux/amd64 builder 5/5] RUN pip install flask==3.1", Some(9)),
        ("[stage-1 1/4] COPY . .", Some(11)),
        ("[stage-1 2/4] RUN <<EOF (echo x)", Some(12)),
        ("[stage-1 3/4] RUN echo \"1\"", Some(15)),
        ("[stage-1 3/4] RUN changed beyond recognition", Some(15)),
        ("[stage-1 4/4] RUN [\"a\", \"b\"]", Some(16)),
        ("[ 3/12] COPY . .", Some(8)),
        ("[internal] load build definition from Dockerfile", None),
        ("exporting to image", None),
    ] {
        assert_eq!(dockerfile.line_of_step(step).map(|(line, _)| line), line, "{step}");
    }
    let (_, source) = dockerfile.line_of_step("[builder 5/5] RUN pip install flask==1").unwrap();
    assert_eq!(source, "RUN pip install flask==${V}");
}

#[test]
fn a_private_ca_is_mounted_in_each_run_and_lines_stay() {
    let text = "FROM x\nRUN --network=none wget y\nCOPY a b\nrun apt-get update && \\\n  pip install z\nRUN <<EOF\nRUN no\nEOF\n";
    let dockerfile = of(text);
    let rewritten = dockerfile.with_ca();
    let lines: Vec<&str> = rewritten.lines().collect();
    let ours = "--mount=type=secret,id=coracle-ca,target=/run/secrets/coracle-ca.crt,mode=0444,required=true";
    let system = "--mount=type=secret,id=coracle-ca,target=/etc/ssl/certs/ca-certificates.crt,mode=0444,required=true";
    assert!(
        lines[1].starts_with(&format!("RUN {ours} {system} --mount=type=secret,id=coracle-ca-path,env=SSL_CERT_FILE "))
    );
    assert!(lines[1].ends_with(",env=GIT_SSL_CAINFO --network=none wget y"), "{}", lines[1]);
    // A package manager may replace the system's bundle.
    assert!(lines[3].starts_with(&format!("run {ours} --mount=type=secret,id=coracle-ca-path,")), "{}", lines[3]);
    assert!(lines[5].ends_with(" <<EOF"));
    assert_eq!((lines[6], lines.len()), ("RUN no", text.lines().count()));
    let step = format!("[2/5] {}", lines[1]);
    assert_eq!(dockerfile.line_of_step(&step).map(|(line, _)| line), Some(2));
}

#[test]
fn faults_say_where_and_what_to_do() {
    let none = BTreeMap::new();
    let path = Path::new("Dockerfile");
    let unknown = understand(path, "FROM x\n\n  RUNN pip\n", None, &none).unwrap_err();
    let mut rendered = String::new();
    let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor()).with_width(100);
    handler.render_report(&mut rendered, &unknown).unwrap();
    for part in
        ["`Dockerfile` is not a Dockerfile that can be built: unknown instruction 'RUNN'", "Dockerfile:3:3", "╰── here"]
    {
        assert!(rendered.contains(part), "{rendered}");
    }
    assert!(understand(path, "# syntax=example.org/own:1\nFROM x\nRUNN pip\n", None, &none).is_ok());
    let target = understand(path, "FROM x AS builder\n", Some("bilder"), &none).unwrap_err();
    assert_eq!(target.help().unwrap().to_string(), "did you mean `builder`?");
    assert!(understand(path, "# nothing\n", None, &none).unwrap_err().to_string().contains("at least one FROM"));
}

#[test]
fn a_missing_dockerfile_names_what_looks_like_one() {
    let folder = tempfile::TempDir::new().unwrap();
    let missing = || read(&folder.path().join("Dockerfile"), None, &BTreeMap::new()).unwrap_err();
    assert_eq!(missing().help().unwrap().to_string(), "write one, or have `build:` name the folder that has one");
    std::fs::create_dir(folder.path().join("docker")).unwrap();
    std::fs::write(folder.path().join("docker/Dockerfile"), "").unwrap();
    std::fs::write(folder.path().join("dockerfile.dev"), "").unwrap();
    assert_eq!(
        missing().help().unwrap().to_string(),
        "did you mean `dockerfile.dev` or `docker/Dockerfile`? say so with `build: {context: …, dockerfile: …}`"
    );
    assert_eq!(missing().kind().exit_code(), 2);
}

proptest! {
    #[test]
    fn nothing_panics(text in "(FROM|RUN|COPY|ENV|ARG|EXPOSE|VOLUME|#|\\$\\{A:-|[ \n\\\\'\"a=$}\\[\\]ä<-])*", step in ".{0,20}") {
        if let Ok(dockerfile) = understand(Path::new("D"), &format!("FROM x\n{text}"), None, &BTreeMap::new()) {
            drop(dockerfile.line_of_step(&step));
            prop_assert_eq!(dockerfile.with_ca().lines().count(), dockerfile.text.lines().count());
        }
    }
}
