//! What is known of compressed layers: whose diff id a compressed digest has.
//!
//! The engine names a layer by the digest of its compressed form, a node that holds it
//! unpacked knows only the diff id. Pairs are learnt from each image that was pushed and
//! kept as lines `DIGEST DIFFID SIZE` in `layers` in the cache folder: appended in one
//! write, so that two processes do not mix theirs, and rewritten when there are too many.
//! The file is a memory, not a truth: without it, or with wrong lines, a layer more is
//! pushed or a load done again in full.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::receiver::is_digest;

const FILE: &str = "layers";
/// Bytes of the file above which it is rewritten.
const MOST: usize = 1 << 20;
/// Bytes that are kept then: the newest lines.
const KEPT: usize = MOST / 2;
/// Bytes that are read of a file that something else made large.
const READ: u64 = 4 * MOST as u64;

/// Compressed digests whose diff id is known.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// Digest → diff id, compressed size in bytes.
    layers: BTreeMap<String, (String, u64)>,
}

impl Known {
    /// Reads the memory of the cache folder; a missing or broken one is empty.
    pub(super) fn read(cache: &Path) -> Self {
        let mut text = Vec::new();
        // Without it more is pushed, and nothing is wrong.
        let _ = std::fs::File::open(cache.join(FILE)).and_then(|file| file.take(READ).read_to_end(&mut text));
        Self { layers: text.split(|byte| *byte == b'\n').filter_map(parse).collect() }
    }

    /// Returns a compressed digest's diff id and its size in bytes.
    pub(super) fn get(&self, digest: &str) -> Option<(&str, u64)> {
        self.layers.get(digest).map(|(diff_id, size)| (diff_id.as_str(), *size))
    }

    /// Returns each digest with its diff id and size in bytes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        self.layers.iter().map(|(digest, (diff_id, size))| (digest.as_str(), diff_id.as_str(), *size))
    }
}

/// Adds what is new of `layers` (digest, diff id, size) to the memory of the cache folder.
pub(super) fn learn(cache: &Path, layers: &[(String, String, u64)]) -> std::io::Result<()> {
    let known = Known::read(cache);
    let mut seen = std::collections::BTreeSet::new();
    let mut lines = String::new();
    for (digest, diff_id, size) in layers {
        let new = digest != diff_id && known.get(digest) != Some((diff_id, *size));
        if new && seen.insert(digest) {
            lines += &[digest, " ", diff_id, " ", &size.to_string(), "\n"].concat();
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    make_private(cache)?;
    let path = cache.join(FILE);
    let mut file = std::fs::OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path)?;
    let length = file.metadata()?.len();
    if length.saturating_add(lines.len() as u64) > MOST as u64 {
        return rewrite(cache, &path, &lines);
    }
    // What a process that was killed left half begins no line of ours.
    let lines = if ends_whole(&mut file, length)? { lines } else { format!("\n{lines}") };
    file.write_all(lines.as_bytes())
}

fn ends_whole(file: &mut std::fs::File, length: u64) -> std::io::Result<bool> {
    if length == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::Start(length - 1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// Keeps the newest lines that are whole, and the new ones. What another process appends
/// meanwhile is lost, and learnt again.
fn rewrite(cache: &Path, path: &Path, lines: &str) -> std::io::Result<()> {
    let mut old = Vec::new();
    std::fs::File::open(path)?.take(READ).read_to_end(&mut old)?;
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    let mut bytes = lines.len();
    for line in old.split(|byte| *byte == b'\n').rev() {
        let Some((digest, _)) = parse(line) else { continue };
        bytes += line.len() + 1;
        if bytes > KEPT {
            break;
        }
        if seen.insert(digest) {
            kept.push(line);
        }
    }
    let mut file = tempfile::NamedTempFile::new_in(cache)?;
    for line in kept.into_iter().rev() {
        file.write_all(line)?;
        file.write_all(b"\n")?;
    }
    file.write_all(lines.as_bytes())?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Reads one line, strictly: what is not exactly of our form is none.
fn parse(line: &[u8]) -> Option<(String, (String, u64))> {
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let (digest, diff_id, size) = (words.next()?, words.next()?, words.next()?);
    let whole = words.next().is_none() && is_digest(digest) && is_digest(diff_id);
    let number = size.bytes().all(|byte| byte.is_ascii_digit());
    Some((digest.to_owned(), (diff_id.to_owned(), size.parse().ok()?))).filter(|_| whole && number)
}

/// Makes a folder that only its owner enters. One that is there stays as it is.
pub(super) fn make_private(folder: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn digest(number: usize) -> String {
        format!("sha256:{number:064x}")
    }

    fn layer(number: usize) -> (String, String, u64) {
        (digest(number), digest(number + 1_000_000), number as u64)
    }

    #[test]
    fn what_was_learnt_is_known_and_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("a/coracle");
        assert_eq!(Known::read(&cache), Known::default());
        learn(&cache, &[layer(1), layer(2), layer(1)]).unwrap();
        learn(&cache, &[layer(2), layer(3), (digest(9), digest(9), 1)]).unwrap();
        let known = Known::read(&cache);
        assert_eq!(known.get(&digest(2)), Some((digest(1_000_002).as_str(), 2)));
        assert_eq!(known.get(&digest(9)), None, "an uncompressed layer says nothing");
        assert_eq!(known.iter().map(|(_, _, size)| size).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(std::fs::read_to_string(cache.join(FILE)).unwrap().lines().count(), 3);
        assert_eq!(std::fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(std::fs::metadata(cache.join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn lines_that_are_not_exactly_ours_are_left_out() {
        let (one, two) = (digest(1), digest(2));
        let good = format!("{one} {two} 5");
        for bad in [
            format!("{one} {two} 5 "),
            format!(" {one} {two} 5"),
            format!("{one} {two}"),
            format!("{one} {two} -5"),
            format!("{one} {two} +5"),
            format!("{one} {two} 99999999999999999999"),
            format!("{one} {} 5", two.to_uppercase()),
            format!("{one}0 {two} 5"),
            format!("md5:{} {two} 5", "0".repeat(64)),
            String::new(),
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse(good.as_bytes()), Some((one, (two, 5))));
        assert_eq!(parse(b"\xff\xfe"), None);
    }

    #[test]
    fn a_line_cut_in_half_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        learn(folder.path(), &[layer(1)]).unwrap();
        let path = folder.path().join(FILE);
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str(&digest(7)[..20]);
        std::fs::write(&path, text).unwrap();
        learn(folder.path(), &[layer(2)]).unwrap();
        assert_eq!(Known::read(folder.path()).iter().count(), 2);
    }

    #[test]
    fn a_later_line_counts() {
        let folder = tempfile::tempdir().unwrap();
        learn(folder.path(), &[(digest(1), digest(2), 3)]).unwrap();
        learn(folder.path(), &[(digest(1), digest(4), 5)]).unwrap();
        assert_eq!(Known::read(folder.path()).get(&digest(1)), Some((digest(4).as_str(), 5)));
    }

    #[test]
    fn too_large_a_file_keeps_its_newest_lines() {
        let folder = tempfile::tempdir().unwrap();
        let many: Vec<_> = (0..7_500).map(layer).collect();
        for some in many.chunks(500) {
            learn(folder.path(), some).unwrap();
            assert!(std::fs::metadata(folder.path().join(FILE)).unwrap().len() <= MOST as u64);
        }
        let known = Known::read(folder.path());
        assert_eq!(known.get(&digest(0)), None);
        assert!((6_000..7_500).all(|number| known.get(&digest(number)).is_some()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a file was left over");
    }
}
