//! Which profile is found, and what is said when there is none.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;

use super::super::ports::fill_ports;
use super::super::resolve::{Request, load, parse};
use super::super::{Expose, ProbeCheck, ProviderName, SecretSource};
use super::Sandbox;

#[test]
fn a_folder_with_a_dockerfile_is_a_profile() {
    let mut sandbox = Sandbox::new(&["Über Projekt/"]);
    sandbox.surroundings.folder.push("Über Projekt");
    let mut profile = sandbox.load().unwrap();
    assert_eq!((profile.name.as_str(), profile.file.as_ref()), ("ueber-projekt", None));
    assert_eq!(profile.services[0].key, "ueber-projekt");
    assert!(profile.services[0].ports_from_image);
    fill_ports(&mut profile, &BTreeMap::from([("ueber-projekt".to_owned(), vec![8080, 9000, 8080])]));
    let service = &profile.services[0];
    let ports: Vec<(&str, u16)> = service.ports.iter().map(|port| (port.name.as_str(), port.target)).collect();
    assert_eq!(ports, [("port-8080", 8080), ("port-9000", 9000)]);
    assert_eq!(service.readiness.as_ref().unwrap().check, ProbeCheck::Tcp { port: 8080 });
    assert_eq!(service.expose, Expose::NodePort);
}

#[test]
fn an_image_without_ports_has_no_probe_and_is_not_exposed() {
    let mut profile = Sandbox::new(&["./"]).load().unwrap();
    fill_ports(&mut profile, &BTreeMap::new());
    assert_eq!((profile.services[0].readiness.as_ref(), profile.services[0].expose), (None, Expose::Cluster));
}

#[test]
fn a_folder_named_by_a_number_still_names_a_service() {
    let mut sandbox = Sandbox::new(&["2048/"]);
    sandbox.surroundings.folder.push("2048");
    assert_eq!(sandbox.load().unwrap().name, "app-2048");
}

#[test]
fn the_nearest_profile_above_is_found_but_none_above_home() {
    let mut sandbox = Sandbox::new(&["./"]);
    sandbox.write("coracle.yaml", "name: above\nservices: {a: {build: .}}\n");
    sandbox.surroundings.folder.push("deep/down");
    assert_eq!(sandbox.load().unwrap().name, "above");
    sandbox.surroundings.home = sandbox.surroundings.folder.clone();
    let error = sandbox.load().unwrap_err();
    assert_eq!(
        sandbox.render(&error),
        "coracle::profile::none

  × there is no profile and no Dockerfile in /home/ada/app
  help: looked for coracle.yaml here and in every folder above, and for a
        Dockerfile here. A profile is a file coracle.yaml such as

        name: down
        services:
          web: {build: ., ports: [\"80:5000\"]}"
    );
}

#[test]
fn p_names_a_file_or_a_folder() {
    let sandbox = Sandbox::new(&["sub/"]);
    sandbox.write("sub/other.yaml", "name: other\nservices: {a: {build: .}}\n");
    for (path, name) in [("sub", "sub"), ("sub/other.yaml", "other")] {
        let request = Request { path: Some(path.into()), provider: Some(ProviderName::Minikube) };
        let profile = load(&request, &sandbox.surroundings).unwrap();
        assert_eq!((profile.name.as_str(), profile.cluster.provider), (name, ProviderName::Minikube));
    }
    let request = Request { path: Some("nowhere".into()), provider: None };
    let error = load(&request, &sandbox.surroundings).unwrap_err();
    assert!(sandbox.render(&error).contains("there is no profile at /home/ada/app/nowhere"));
}

#[test]
fn files_that_are_no_text_are_named_as_such() {
    let sandbox = Sandbox::new(&["./"]);
    for (bytes, said) in [
        (b"name: a\nx: \xff\n".to_vec(), "is not UTF-8 text: byte 11 (line 2)"),
        (vec![b'#'; (1 << 20) + 1], "is 1048577 bytes long; a profile has at most 1048576"),
        (b"name: a\0".to_vec(), "there is a NUL byte here"),
        (b"\xef\xbb\xbf".to_vec(), "the profile is empty"),
        (b"# nothing\n".to_vec(), "the profile is empty"),
    ] {
        sandbox.write("coracle.yaml", bytes);
        let report = sandbox.render(&sandbox.load().unwrap_err());
        assert!(report.replace("\n  │ ", " ").contains(said), "{report}");
    }
    sandbox.write("coracle.yaml", b"\xef\xbb\xbfname: bom\r\nservices:\r\n  a:\r\n    build: .\r\n");
    assert_eq!(sandbox.load().unwrap().name, "bom");
}

#[test]
fn a_build_stays_inside_the_repository_and_files_inside_the_folder() {
    let sandbox = Sandbox::new(&["./", "mono/shared/", "mono/team/app/"]);
    let text = "name: a\nservices: {a: {build: ../../shared, ports: [80], files: {/f: ../../../Dockerfile}}}\n";
    let check = || parse(text, &sandbox.path().join("mono/team/app/coracle.yaml"), &sandbox.surroundings);
    let report = sandbox.render(&check().unwrap_err());
    assert!(report.contains("`../../shared` lies outside of"), "{report}");
    assert!(report.contains("`../../../Dockerfile` lies outside of the profile's folder"), "{report}");
    std::fs::create_dir(sandbox.path().join("mono/.git")).unwrap();
    let report = sandbox.render(&check().unwrap_err());
    assert!(!report.contains("../../shared` lies"), "{report}");
    symlink("/etc", sandbox.path().join("out")).unwrap();
    let report = sandbox.render(&sandbox.parse("services: {a: {build: out}}").unwrap_err());
    assert!(report.contains("`out` lies outside of"), "{report}");
}

#[test]
fn the_variable_for_the_node_image_is_left_to_the_creation() {
    let mut sandbox = Sandbox::new(&["./"]);
    sandbox.surroundings.variables.insert("KIND_NODE_IMAGE".into(), "node:1".into());
    assert_eq!(sandbox.load().unwrap().cluster.image, None, "it would count more than `kubernetes`");
    let stated = sandbox.parse("cluster: {image: node:2}\nservices: {a: {build: .}}\n").unwrap();
    assert_eq!(stated.cluster.image.as_deref(), Some("node:2"));
}

#[test]
fn secrets_are_of_the_project_or_of_home() {
    let sandbox = Sandbox::new(&["./"]);
    let secret = |file: &str| format!("services: {{a: {{build: ., secrets: {{KEY: {{file: '{file}'}}}}}}}}");
    let source = |file: &str| sandbox.parse(&secret(file)).unwrap().services[0].secrets[0].1.clone();
    let own = sandbox.write("key", "k");
    let home = sandbox.write("../.npmrc", "t").canonicalize().unwrap();
    assert_eq!(source("key"), SecretSource::File(own));
    assert_eq!(source("~/.npmrc"), SecretSource::File(home.clone()));
    assert_eq!(source("../.npmrc"), SecretSource::File(home));
    assert_eq!(source("later"), SecretSource::File(sandbox.path().join("later")), "it is told when it is needed");

    let refused = |file: &str| sandbox.render(&sandbox.parse(&secret(file)).unwrap_err());
    assert!(refused("/etc/hostname").contains("lies outside of the project"));
    symlink("/etc/hostname", sandbox.path().join("link")).unwrap();
    assert!(refused("link").contains("`link` lies outside of the project"));
    assert!(refused("../app").contains("`../app` is no file"));
}
