//! What a request is for: paths and queries of the OCI distribution specification 1.1.
//!
//! Pure. A path without the token, or with another image than those that are pushed, is
//! nothing at all.

/// What a path names. `image` is the place of the image among those that are pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// `/v2/`
    Ping,
    /// `/v2/TOKEN/N/blobs/DIGEST`
    Blob { image: usize, digest: String },
    /// `/v2/TOKEN/N/blobs/uploads/`
    Uploads,
    /// `/v2/TOKEN/N/blobs/uploads/ID`
    Upload { id: u64 },
    /// `/v2/TOKEN/N/manifests/REFERENCE`: a digest or a tag.
    Manifest { image: usize, reference: String },
}

/// Returns what `path` names in a registry for the first `images` images.
pub(super) fn route(path: &str, token: &str, images: usize) -> Option<Route> {
    let path = path.strip_prefix("/v2")?;
    if path.is_empty() || path == "/" {
        return Some(Route::Ping);
    }
    let mut parts = path.strip_prefix('/')?.split('/');
    if !same(parts.next()?, token) {
        return None;
    }
    let image = parts.next()?.parse().ok().filter(|image| *image < images)?;
    let rest: Vec<&str> = parts.collect();
    match rest.as_slice() {
        ["blobs", "uploads"] | ["blobs", "uploads", ""] => Some(Route::Uploads),
        ["blobs", "uploads", id] => Some(Route::Upload { id: id.parse().ok()? }),
        ["blobs", digest] => Some(Route::Blob { image, digest: decoded(digest)? }),
        ["manifests", reference] => Some(Route::Manifest { image, reference: decoded(reference)? }),
        _ => None,
    }
}

/// Compares without telling by its time how much is the same.
fn same(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.bytes().zip(other.bytes()).fold(0, |odd, (one, other)| odd | (one ^ other)) == 0
}

/// Returns a query's value for `name`, decoded.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).and_then(|(_, value)| decoded(value))
}

/// Undoes percent-encoding.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

/// Returns the first byte that a `Content-Range` of an upload is for: `0-1023`, as the
/// specification has it, or `bytes 0-1023/*`.
pub(super) fn range_start(value: &str) -> Option<u64> {
    let value = value.trim();
    value.strip_prefix("bytes ").unwrap_or(value).split_once('-')?.0.parse().ok()
}

/// Whether `text` is the digest of a blob as we know them: `sha256:` and 64 small hex digits.
pub(in super::super) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && is_hex(hex))
}

/// Whether `text` is nothing but small hex digits.
pub(in super::super) fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "00112233445566778899aabbccddeeff";

    #[test]
    fn paths_with_the_token_are_told_apart() {
        let cases = [
            ("blobs/uploads/", Some(Route::Uploads)),
            ("blobs/uploads", Some(Route::Uploads)),
            ("blobs/uploads/7", Some(Route::Upload { id: 7 })),
            ("blobs/uploads/x", None),
            ("blobs/sha256:ab", Some(Route::Blob { image: 1, digest: "sha256:ab".to_owned() })),
            ("blobs/sha256%3Aab", Some(Route::Blob { image: 1, digest: "sha256:ab".to_owned() })),
            ("manifests/latest", Some(Route::Manifest { image: 1, reference: "latest".to_owned() })),
            ("tags/list", None),
            ("", None),
        ];
        for (rest, expected) in cases {
            assert_eq!(route(&format!("/v2/{TOKEN}/1/{rest}"), TOKEN, 2), expected, "{rest}");
        }
    }

    #[test]
    fn without_the_token_there_is_nothing_but_the_ping() {
        assert_eq!(route("/v2/", TOKEN, 1), Some(Route::Ping));
        let wrong = TOKEN.replace('f', "e");
        for path in [
            "/".to_owned(),
            "/v2/_catalog".to_owned(),
            "/v2/0/blobs/uploads/".to_owned(),
            format!("/v2/{wrong}/0/blobs/uploads/"),
            format!("/v2/{TOKEN}0/0/blobs/uploads/"),
            format!("/v2//{TOKEN}/0/blobs/uploads/"),
            format!("/v2/{TOKEN}/1/blobs/uploads/"),
            format!("/v1/{TOKEN}/0/blobs/uploads/"),
        ] {
            assert_eq!(route(&path, TOKEN, 1), None, "{path}");
        }
    }

    #[test]
    fn queries_and_ranges_are_read() {
        assert_eq!(parameter("mount=sha256%3Aab&from=a%2Fb", "from").as_deref(), Some("a/b"));
        assert_eq!(parameter("digest=%zz", "digest"), None);
        assert_eq!(parameter("", "digest"), None);
        assert_eq!(range_start("0-99"), Some(0));
        assert_eq!(range_start("bytes 100-199/*"), Some(100));
        assert_eq!(range_start("all"), None);
    }
}
