//! A client that writes requests to a receiver byte by byte, as engines do.

use std::fmt::Write;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::image::digest;

/// A client for one repository: `127.a.b.c:PORT/TOKEN/N`.
pub(in super::super) struct Raw {
    pub(in super::super) address: SocketAddr,
    repository: String,
}

pub(in super::super) struct Answer {
    pub(in super::super) status: u16,
    pub(in super::super) headers: Vec<(String, String)>,
    pub(in super::super) body: String,
}

impl Answer {
    /// Returns a header that must be there.
    pub(in super::super) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map_or_else(|| panic!("no {name}: {:?}", self.headers), |(_, value)| value)
    }
}

impl Raw {
    pub(in super::super) fn new(repository: &str) -> Self {
        let (address, repository) = repository.split_once('/').unwrap();
        Self { address: address.parse().unwrap(), repository: repository.to_owned() }
    }

    pub(in super::super) fn path(&self, rest: &str) -> String {
        format!("/v2/{}/{rest}", self.repository)
    }

    /// Sends bytes, says that there are no more, and returns all that comes back.
    pub(in super::super) async fn bytes(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    pub(in super::super) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.address);
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        if !headers.iter().any(|(name, _)| ["transfer-encoding", "content-length"].contains(name)) {
            write!(head, "content-length: {}\r\n", body.len()).unwrap();
        }
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // What is refused early is not read to its end.
        let _ = stream.write_all(&[head.as_bytes(), b"\r\n", body].concat()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        parse(&String::from_utf8(answer).unwrap())
    }

    /// Sends a blob by POST and one PUT.
    pub(in super::super) async fn whole(&self, blob: &[u8]) -> Answer {
        let begun = self.ask("POST", &self.path("blobs/uploads/"), &[], b"").await;
        let put = format!("{}?digest={}", begun.header("location"), digest(blob));
        self.ask("PUT", &put, &[], blob).await
    }

    #[expect(clippy::unused_self, reason = "reads like the rest of what is sent")]
    pub(in super::super) fn config(&self, diff_ids: &[&str]) -> Vec<u8> {
        serde_json::json!({ "rootfs": { "type": "layers", "diff_ids": diff_ids } }).to_string().into_bytes()
    }
}

fn parse(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_owned(), value.to_owned()));
    Answer { status, headers: headers.collect(), body: body.to_owned() }
}

pub(in super::super) fn digest(bytes: &[u8]) -> String {
    digest::sha256(bytes)
}

/// Returns a manifest of an image.
pub(in super::super) fn manifest(config: &[u8], layers: &[&[u8]], media_type: &str) -> Vec<u8> {
    let named = |bytes: &[u8], media_type: &str| serde_json::json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() });
    let layers: Vec<_> = layers.iter().map(|layer| named(layer, media_type)).collect();
    let config = named(config, "application/vnd.oci.image.config.v1+json");
    serde_json::json!({ "schemaVersion": 2, "config": config, "layers": layers }).to_string().into_bytes()
}
