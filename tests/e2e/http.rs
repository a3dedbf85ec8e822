//! As much of HTTP as the checks need: one request per connection, over plain TCP.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// What a server answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// Sends one request to `http://HOST:PORT/…` and reads the whole answer.
pub(crate) fn request(
    method: &str,
    url: &str,
    headers: &BTreeMap<String, String>,
    body: Option<&str>,
) -> io::Result<Answer> {
    let (host, path) = split(url);
    let address = host.to_socket_addrs()?.next().ok_or_else(|| io::Error::other("no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(3))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n").into_bytes();
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n")?;
    }
    if let Some(body) = body {
        write!(head, "Content-Length: {}\r\n", body.len())?;
    }
    write!(head, "\r\n{}", body.unwrap_or_default())?;
    stream.write_all(&head)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    parse_answer(&String::from_utf8_lossy(&bytes)).ok_or_else(|| io::Error::other("not an HTTP answer"))
}

pub(crate) fn get(url: &str) -> io::Result<Answer> {
    request("GET", url, &BTreeMap::new(), None)
}

/// Asks until the answer is a 200; panics with the last answer after `limit`.
#[track_caller]
pub(crate) fn get_within(url: &str, limit: Duration) -> Answer {
    let started = Instant::now();
    loop {
        let last = get(url);
        match &last {
            Ok(answer) if answer.status == 200 => return answer.clone(),
            _ if started.elapsed() > limit => panic!("{url} gave no 200 within {limit:?}: {last:?}"),
            _ => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// Returns host with port, and path.
fn split(url: &str) -> (String, String) {
    let rest = url.strip_prefix("http://").expect("local URLs are plain HTTP");
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    (host, format!("/{path}"))
}

fn parse_answer(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    // A body that was cut off is no answer.
    if let Some(length) = headers.get("content-length")
        && length.parse::<usize>().ok()? != body.len()
    {
        return None;
    }
    let chunked = headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked");
    let body = if chunked { join_chunks(body)? } else { body.to_owned() };
    Some(Answer { status, headers, body })
}

fn join_chunks(mut rest: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n")?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body += after.get(..size)?;
        rest = after.get(size..)?.strip_prefix("\r\n")?;
    }
}

#[test]
fn an_answer_is_parsed_whole_or_not_at_all() {
    let answer = parse_answer("HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 2\r\n\r\nhi").unwrap();
    assert_eq!((answer.status, answer.headers["x-a"].as_str(), answer.body.as_str()), (200, "b", "hi"));
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    assert_eq!(parse_answer(chunked).unwrap().body, "abcde");
    assert!(parse_answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi").is_none());
}
