//! Any text is answered, and what is accepted is legal.

use proptest::prelude::*;

use super::super::error::Error;
use super::super::names;
use super::examples::{ADD_TWO, FLASK_REDIS, GATEWAY, LARGE};
use super::{FOLDERS, Sandbox};

/// Every key of every example, misspelt: the answer names that very key.
#[test]
fn each_misspelt_key_is_underlined() {
    let sandbox = Sandbox::new(&FOLDERS);
    let mut tried = 0;
    for example in [LARGE, ADD_TWO, GATEWAY, FLASK_REDIS] {
        for (at, _) in example.match_indices(": ").chain(example.match_indices(":\n")) {
            let begin = example[..at].rfind([' ', '{', '\n']).map_or(0, |found| found + 1);
            let key = &example[begin..at];
            let free = ["title", "id", "metallb", "env", "username", "REDIS", "yaml-language-server"];
            if key.contains(['"', '#']) || free.iter().any(|free| key.starts_with(free)) {
                continue;
            }
            let text = format!("{}{key}zq{}", &example[..begin], &example[at..]);
            // A service, an environment may have any name; what refers to it then does not fit.
            let outcome = sandbox.parse(&text);
            let Err(Error::Invalid { problems, .. }) = outcome else { continue };
            tried += 1;
            let named = problems.iter().any(|problem| {
                text.get(problem.span.clone()).is_some_and(|found| found == format!("{key}zq"))
                    || problem.message.contains(&format!("`{key}`"))
            });
            assert!(named, "{key}: {problems:#?}");
        }
    }
    assert!(tried > 60, "{tried}");
}

fn yaml() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("services".to_owned()),
        Just("build".into()),
        Just("image".into()),
        Just("ports".into()),
        Just("name".into()),
        Just("80:5000".into()),
        Just("{env:X}".into()),
        Just("- ".into()),
        Just("&a".into()),
        Just("*a".into()),
        Just("<<".into()),
        Just("!!str".into()),
        Just("|".into()),
        Just("\"".into()),
        Just("0x1F".into()),
        Just(".nan".into()),
        "[a-zA-Zü0-9.-]{1,8}",
    ];
    let glue = prop_oneof![
        Just(": "),
        Just("\n"),
        Just("\n  "),
        Just("\n    "),
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(", ")
    ];
    proptest::collection::vec((word, glue), 0..40)
        .prop_map(|parts| parts.into_iter().map(|(word, glue)| word + glue).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        let sandbox = Sandbox::new(&[]);
        if let Err(error) = sandbox.parse(&text) {
            prop_assert!(!sandbox.render(&error).is_empty());
        }
    }

    #[test]
    fn anything_like_yaml_is_answered(text in yaml()) {
        let sandbox = Sandbox::new(&[]);
        if let Err(error) = sandbox.parse(&text) {
            prop_assert!(!sandbox.render(&error).is_empty());
        }
    }

    #[test]
    fn what_is_accepted_has_legal_names(
        name in "[a-zA-Z0-9-]{1,70}",
        key in "[a-z0-9_-]{1,64}",
        template in "(\\{user\\}|\\{env\\}|\\{namespace\\}|x|-){0,4}\\{service\\}",
    ) {
        let sandbox = Sandbox::new(&[]);
        let text = format!("name: '{name}'\nname-template: '{template}'\nservices:\n  '{key}': {{image: redis, ports: [80]}}\n");
        if let Ok(profile) = sandbox.parse(&text) {
            prop_assert_eq!(names::label_fault(&profile.namespace), None);
            for service in &profile.services {
                prop_assert_eq!(names::service_fault(&service.name), None);
                prop_assert_eq!(names::service_fault(&service.service_name), None);
                prop_assert_eq!(names::service_fault(&service.key), None);
            }
        }
    }
}
