//! Puts the helper into a node: the program that this binary carries for the node's machine,
//! under a name that tells its content, so another version of Coracle has another one.

use std::path::PathBuf;

use crate::image::Error;
use crate::image::engine::{Engine, go_architecture};
use crate::image::load::{feed_node, node_command, on_node};

/// Where it lies in a node.
pub(crate) const FOLDER: &str = "/usr/local/lib/coracle";

/// The helper for one kind of machine, packed with gzip, and the SHA-256 of the program.
struct Packed {
    architecture: &'static str,
    content: &'static [u8],
    digest: &'static str,
}

const PACKED: [Packed; 2] = [
    Packed {
        architecture: "amd64",
        content: include_bytes!(concat!(env!("OUT_DIR"), "/helper-amd64.gz")),
        digest: include_str!(concat!(env!("OUT_DIR"), "/helper-amd64.sha256")),
    },
    Packed {
        architecture: "arm64",
        content: include_bytes!(concat!(env!("OUT_DIR"), "/helper-arm64.gz")),
        digest: include_str!(concat!(env!("OUT_DIR"), "/helper-arm64.sha256")),
    },
];

/// Says which machine the node is, and which helpers it has.
const ASK: &str = "uname -m; ls /usr/local/lib/coracle 2>/dev/null || :";

pub(super) async fn place(engine: &Engine, node: &str) -> Result<PathBuf, Error> {
    let ran = on_node(engine, node, ASK).await?;
    let out = String::from_utf8_lossy(&ran.out).into_owned();
    let mut lines = out.lines().map(str::trim);
    let machine = go_architecture(lines.next().unwrap_or_default()).to_owned();
    let Some(packed) = PACKED.iter().find(|packed| packed.architecture == machine) else {
        return Err(node_command(node, "uname -m", &format!("there is no helper for `{machine}` machines")));
    };
    let name = name(packed);
    if !lines.any(|line| line == name) {
        let ran = feed_node(engine, node, &script(packed), packed.content).await?;
        if ran.code != 0 {
            return Err(node_command(node, "gzip -dc", &ran.words));
        }
    }
    Ok(PathBuf::from(FOLDER).join(name))
}

fn name(packed: &Packed) -> String {
    format!("helper-{}", &packed.digest[..16])
}

/// Returns the script that unpacks what it is fed. The program gets its name once it is whole,
/// so whatever has the name is. Versions that nothing has used for a month go.
fn script(packed: &Packed) -> String {
    let (name, size, digest) = (name(packed), packed.content.len(), packed.digest);
    format!(
        "set -e; mkdir -p {FOLDER}; cd {FOLDER}; new=.new-$$; trap 'rm -f \"$new\"' EXIT\n\
         head -c {size} | gzip -dc >\"$new\"\n\
         echo '{digest}  '\"$new\" | sha256sum -c - >/dev/null\n\
         chmod 755 \"$new\"; mv -f \"$new\" {name}\n\
         for old in $(find . -name 'helper-*' -mtime +30); do\n\
         ls -l /proc/[0-9]*/exe 2>/dev/null | grep -q \"${{old#./}}\" || rm -f \"$old\"\n\
         done"
    )
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn what_is_carried_is_whole_small_and_for_its_machine() {
        // ELF, `e_machine`: 62 is x86-64, 183 is AArch64.
        for (packed, machine) in PACKED.iter().zip([62, 183]) {
            assert!(packed.content.len() < 400_000, "{}: {}", packed.architecture, packed.content.len());
            let mut program = Vec::new();
            flate2::read::GzDecoder::new(packed.content).read_to_end(&mut program).unwrap();
            let digest = crate::image::digest::hex(&Sha256::digest(&program));
            assert_eq!((packed.digest, &program[..4], program[18]), (digest.as_str(), &b"\x7fELF"[..], machine));
        }
    }
}
