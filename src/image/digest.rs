//! Digests as text.

use sha2::{Digest, Sha256};

/// Returns bytes as lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Returns the digest of `bytes` as images name content: `sha256:…` (OCI image specification,
/// "Digests").
pub(super) fn sha256(bytes: impl AsRef<[u8]>) -> String {
    finished(Sha256::new_with_prefix(bytes))
}

/// Returns the digest of what a hasher was fed.
pub(super) fn finished(hasher: Sha256) -> String {
    format!("sha256:{}", hex(&hasher.finalize()))
}
