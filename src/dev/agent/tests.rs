//! The client against a helper in this process, over pipes; the container is a folder.

use std::os::unix::fs::symlink;

use bollard::container::LogOutput;
use coracle_helper::serve::{Finder, serve};
use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio_util::io::{ReaderStream, SyncIoBridge};

use super::*;

const ID: &str = "0123456789abcdef";

struct Place {
    folder: tempfile::TempDir,
    link: Link,
}

impl Place {
    /// The stream's first `cut` bytes to the helper get there, no more.
    fn new(cut: Option<u64>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in ["proc/42", "root", "context/sub"] {
            std::fs::create_dir_all(at(path)).unwrap();
        }
        std::fs::create_dir_all(at("tasks").join(ID)).unwrap();
        std::fs::write(at("tasks").join(ID).join("init.pid"), "42").unwrap();
        std::fs::write(at("proc/42/cgroup"), ID).unwrap();
        symlink(at("root"), at("proc/42/root")).unwrap();
        let finder = Finder::at(at("tasks"), at("proc"));
        let (input, ours) = tokio::io::duplex(64 * 1024);
        let (theirs, output) = tokio::io::duplex(64 * 1024);
        tokio::task::spawn_blocking(move || {
            let input = tokio::io::AsyncReadExt::take(input, cut.unwrap_or(u64::MAX));
            drop(serve(SyncIoBridge::new(input), SyncIoBridge::new(theirs), &finder));
        });
        let output = ReaderStream::new(output)
            .map(|piece| piece.map(|message| LogOutput::StdOut { message }).map_err(|error| error.to_string()));
        Self { folder, link: Link::new("node", Box::pin(output), Box::pin(ours)) }
    }

    fn context(&self) -> PathBuf {
        self.folder.path().join("context")
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Writes a file of the context; returns the op that sends it.
    fn file(&self, path: &str, content: &[u8]) -> Op {
        std::fs::write(self.context().join(path), content).unwrap();
        let thing = Thing::File { digest: Sha256::digest(content).into(), size: content.len() as u64 };
        Op::Put { target: Path::new("/app").join(path), source: path.into(), node: Node { mode: 0o644, thing } }
    }

    async fn send(&self, ops: &[Op]) -> Result<(), Fault> {
        outcome(self.link.send(ID, &self.context(), ops).await?, ops)
    }

    fn holds(&self, path: &str) -> Option<Vec<u8>> {
        std::fs::read(self.root().join(path)).ok()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_large_and_small_arrive_in_one_batch() {
    let place = Place::new(None);
    let large: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_be_bytes).collect();
    let mut ops = vec![place.file("large", &large), place.file("empty", b""), place.file("sub/small", b"x")];
    ops.extend((0..1000).map(|number| place.file(&format!("{number}"), number.to_string().as_bytes())));
    place.send(&ops).await.unwrap();
    assert!(place.holds("app/large").unwrap() == large);
    assert_eq!(place.holds("app/sub/small").unwrap(), b"x");
    assert_eq!(place.holds("app/999").unwrap(), b"999");
    assert_eq!(std::fs::read_dir(place.root().join("app")).unwrap().count(), 1003);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_what_was_recorded_withdraws_its_batch() {
    let place = Place::new(None);
    let first = place.file("a", b"first");
    place.send(&[first]).await.unwrap();
    let (other, ops) = (place.file("b", b"other"), place.file("a", b"later"));
    let batch = [other, ops];
    for change in [&b"LATER"[..], b"longer than it was", b""] {
        std::fs::write(place.context().join("a"), change).unwrap();
        assert_eq!(place.send(&batch).await, Err(Fault::Torn("a".into())));
    }
    std::fs::remove_file(place.context().join("a")).unwrap();
    assert_eq!(place.send(&batch).await, Err(Fault::Torn("a".into())));
    assert_eq!((place.holds("app/a").unwrap(), place.holds("app/b")), (b"first".to_vec(), None));
    assert_eq!(std::fs::read_dir(place.root().join("app")).unwrap().count(), 1, "nothing is left of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_from_outside_the_context_is_sent() {
    let place = Place::new(None);
    std::fs::write(place.folder.path().join("secret"), "key").unwrap();
    std::fs::create_dir(place.folder.path().join("other")).unwrap();
    std::fs::write(place.folder.path().join("other/key"), "key").unwrap();
    let op = place.file("a", b"key");
    std::fs::remove_file(place.context().join("a")).unwrap();
    symlink("../secret", place.context().join("a")).unwrap();
    symlink("../other", place.context().join("dir")).unwrap();
    assert_eq!(place.send(std::slice::from_ref(&op)).await, Err(Fault::Torn("a".into())));
    let Op::Put { target, node, .. } = op else { unreachable!() };
    for source in ["dir/key", "../secret"] {
        let op = Op::Put { target: target.clone(), source: source.into(), node: node.clone() };
        assert_eq!(place.send(&[op]).await, Err(Fault::Torn(source.into())));
    }
    assert_eq!(place.holds("app/a"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_is_told_to_all_who_wait() {
    for cut in [0, 30, 5000] {
        let place = Place::new(Some(cut));
        let op = place.file("a", &[7; 10_000]);
        let batch = [op];
        let find = Request::Find { container: ID.to_owned() };
        let (sent, found) = tokio::join!(place.send(&batch), place.link.ask(&find, ANSWER));
        assert!(matches!(sent, Err(Fault::Cut(_))), "{sent:?}");
        // What was whole before the break may have been answered.
        assert!(matches!(found, Err(Fault::Cut(_)) | Ok(Answer::Found(_) | Answer::Refused(_))), "{found:?}");
        assert!(!place.link.lives());
        assert_eq!(place.holds("app/a"), None);
        let again = place.link.ask(&find, ANSWER).await.unwrap_err();
        assert!(matches!(again, Fault::Cut(words) if words.starts_with("the helper on node `node` was lost: ")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_where_and_why() {
    let place = Place::new(None);
    std::fs::create_dir_all(place.root().join("app/data")).unwrap();
    std::fs::write(place.root().join("app/data/kept"), "").unwrap();
    let op = place.file("data", b"now a file");
    let refused = Fault::Refused("`/app/data`: it is not empty: it has `kept`".to_owned());
    assert_eq!(place.send(&[op]).await, Err(refused));
    std::fs::write(place.folder.path().join("proc/42/cgroup"), "another").unwrap();
    let op = place.file("a", b"");
    assert_eq!(place.send(&[op]).await, Err(Fault::Gone));
}

#[tokio::test(start_paused = true)]
async fn a_helper_that_says_nothing_is_given_up() {
    let (_kept, input) = tokio::io::duplex(1024);
    let link = Link::new("node", Box::pin(futures_util::stream::pending()), Box::pin(input));
    let find = Request::Find { container: ID.to_owned() };
    let Err(Fault::Cut(words)) = link.ask(&find, ANSWER).await else { panic!() };
    assert_eq!(words, "the helper on node `node` was lost: it did not answer within 10 s");
    assert!(!link.lives());
}

#[tokio::test]
async fn a_helper_of_another_version_is_not_used() {
    let (mut helper, output) = tokio::io::duplex(1024);
    let output = ReaderStream::new(output)
        .map(|piece| piece.map(|message| LogOutput::StdOut { message }).map_err(|error| error.to_string()));
    helper.write_all(&protocol::encode(0, &Answer::Hello { version: 99 })).await.unwrap();
    let link = Link::new("node", Box::pin(output), Box::pin(tokio::io::sink()));
    let Err(Fault::Cut(words)) = link.greeted(ANSWER).await else { panic!() };
    assert_eq!(words, "the helper on node `node` was lost: it speaks version 99, not 1");
}
