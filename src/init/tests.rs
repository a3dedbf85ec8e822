//! Compose files and manifests as nobody should write them: `init` never panics, and what it returns is a profile.

use std::path::Path;

use super::{Found, profile_of, settle, survey};
use crate::session::Surroundings;

/// A small generator of numbers: the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits fit") % limit.max(1)
    }
}

/// Changes a text: a line away, twice, or with another value; two lines in each other's place; a character.
fn mutated(text: &str, dice: &mut Dice) -> String {
    const VALUES: [&str; 14] = [
        "",
        "-1",
        "[]",
        "{}",
        "null",
        "70000",
        "\"${X:-\"",
        "*nobody",
        "a: b: c",
        "true",
        "\u{202e}x",
        "{services.web.host}",
        "../../..",
        "/",
    ];
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for _ in 0..=dice.below(4) {
        let at = dice.below(lines.len());
        match dice.below(6) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[at].clone()),
            2 => {
                if let Some((key, _)) = lines[at].split_once(": ") {
                    lines[at] = format!("{key}: {}", VALUES[dice.below(VALUES.len())]);
                }
            }
            3 => {
                let other = dice.below(lines.len());
                lines.swap(at, other);
            }
            4 => lines[at] = lines[at].replacen("  ", "", 1),
            _ => {
                let characters: Vec<char> = lines[at].chars().collect();
                let cut = dice.below(characters.len());
                lines[at] = characters
                    .iter()
                    .enumerate()
                    .filter(|(index, _)| *index != cut)
                    .map(|(_, character)| character)
                    .collect();
            }
        }
        if lines.is_empty() {
            break;
        }
    }
    lines.join("\n") + "\n"
}

#[test]
fn mutated_files_end_in_a_profile_or_in_words() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let mut written = 0;
    let files = [
        ("node-postgres", "compose.yaml"),
        ("flask-redis", "docker-compose.yml"),
        ("env-and-secrets", "docker-compose.yml"),
        ("profiles-and-ranges", "docker-compose.yaml"),
        ("kubernetes", "k8s/web.yaml"),
        ("skaffold", "skaffold.yaml"),
        ("tilt", "Tiltfile"),
    ];
    for (index, (sample, file)) in files.into_iter().enumerate() {
        let found = survey(&samples.join(sample));
        let text = found.text(file).unwrap().to_owned();
        let mut dice = Dice(index as u64);
        for _ in 0..72 {
            let mutant = mutated(&text, &mut dice);
            let mut found: Found = found.clone();
            found.add(file, &mutant);
            let Ok(profile) = profile_of(&found, &Surroundings::default()) else { continue };
            if let Err(error) = settle::read(&found, &profile.yaml, &Surroundings::default()) {
                panic!("{error:?}\n{mutant}\n{}", profile.yaml);
            }
            written += 1;
        }
    }
    assert!(written > 300, "only {written} of 504 gave a profile");
}
