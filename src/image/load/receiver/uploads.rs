//! Blobs that arrive: begun with POST, continued with PATCH, ended with PUT.
//!
//! The classic store sends POST, one chunked PATCH and an empty PUT; containerd's sends
//! POST and one PUT with everything. Both, and resuming where a connection broke, are
//! the specification's ("Pushing blobs").

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::CONTENT_RANGE;
use hyper::{Method, Request, StatusCode};

use super::Fault;
use super::answer::{Answer, plain, refuse, with};
use super::blob::{Scratch, Upload};
use super::registry::Registry;
use super::route::{Route, is_digest, parameter, range_start, route};

/// Uploads that are begun and not ended. An engine sends five at once, or ten.
pub(super) const MOST: usize = 256;

type Slot = Arc<tokio::sync::Mutex<Upload>>;

#[derive(Debug)]
pub(super) struct Uploads {
    scratch: Scratch,
    begun: Mutex<Begun>,
}

#[derive(Debug, Default)]
struct Begun {
    slots: BTreeMap<u64, Slot>,
    next: u64,
}

impl Uploads {
    pub(super) fn new(scratch: Scratch) -> Self {
        Self { scratch, begun: Mutex::default() }
    }

    fn begun(&self) -> MutexGuard<'_, Begun> {
        // Nothing is done under the lock that could leave it half done.
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> Option<u64> {
        let mut begun = self.begun();
        if begun.slots.len() >= MOST {
            return None;
        }
        begun.next += 1;
        let id = begun.next;
        begun.slots.insert(id, Arc::new(tokio::sync::Mutex::new(Upload::new(&self.scratch))));
        Some(id)
    }

    fn find(&self, id: u64) -> Option<Slot> {
        self.begun().slots.get(&id).cloned()
    }

    fn remove(&self, id: u64) -> Option<Slot> {
        self.begun().slots.remove(&id)
    }
}

/// Why a part of a blob was not taken.
enum Broken {
    /// The engine went away; it may resume.
    Theirs(hyper::Error),
    /// It could not be kept.
    Ours(std::io::Error),
}

impl Registry {
    /// Answers a request for `…/blobs/uploads/[ID]`.
    pub(super) async fn upload(&self, request: Request<Incoming>) -> Answer {
        let path = request.uri().path().trim_end_matches('/').to_owned();
        let query = request.uri().query().unwrap_or_default().to_owned();
        // The image is only in the path; it was checked before.
        let image = path.split('/').nth(3).and_then(|image| image.parse().ok()).unwrap_or_default();
        let Some(Route::Upload { id }) = route(&path, &self.token, usize::MAX) else {
            return match *request.method() {
                Method::POST => self.begin(&path, image, &query).await,
                _ => refuse(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "uploads begin with POST"),
            };
        };
        let Some(slot) = self.uploads.find(id) else {
            return refuse(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", "no such upload");
        };
        match *request.method() {
            Method::PATCH => self.patch(&path, &slot, request).await,
            Method::PUT => self.put(&path, id, &slot, &query, request).await,
            Method::GET => progress(StatusCode::NO_CONTENT, &path, slot.lock().await.len()),
            Method::DELETE => {
                drop(self.uploads.remove(id));
                plain(StatusCode::NO_CONTENT)
            }
            _ => refuse(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "an upload goes on with PATCH or PUT"),
        }
    }

    /// Begins an upload, unless it is a mount of what is here already.
    async fn begin(&self, path: &str, image: usize, query: &str) -> Answer {
        if let Some(digest) = parameter(query, "mount").filter(|digest| is_digest(digest))
            && self.size(image, &digest).await.is_some()
        {
            let location = format!("{}/{digest}", path.trim_end_matches("/uploads"));
            return with(plain(StatusCode::CREATED), &[("location", &location), ("docker-content-digest", &digest)]);
        }
        match self.uploads.begin() {
            Some(id) => progress(StatusCode::ACCEPTED, &format!("{path}/{id}"), 0),
            None => refuse(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", "too many uploads are open"),
        }
    }

    async fn patch(&self, path: &str, slot: &Slot, request: Request<Incoming>) -> Answer {
        let mut upload = slot.lock().await;
        if let Some(answer) = Self::out_of_step(path, &upload, &request) {
            return answer;
        }
        match self.append(&mut upload, request.into_body()).await {
            Ok(()) => progress(StatusCode::ACCEPTED, path, upload.len()),
            Err(broken) => self.broken(broken),
        }
    }

    async fn put(&self, path: &str, id: u64, slot: &Slot, query: &str, request: Request<Incoming>) -> Answer {
        let mut upload = slot.lock().await;
        if let Some(answer) = Self::out_of_step(path, &upload, &request) {
            return answer;
        }
        // Whatever comes of it, this is the end of the upload.
        drop(self.uploads.remove(id));
        if let Err(broken) = self.append(&mut upload, request.into_body()).await {
            return self.broken(broken);
        }
        let upload = std::mem::replace(&mut *upload, Upload::new(&self.uploads.scratch));
        let claimed = parameter(query, "digest").unwrap_or_default();
        match upload.finish().await {
            Ok((digest, blob)) if digest == claimed => {
                self.keep(digest, blob);
                let location = match path.rsplit_once("/uploads/") {
                    Some((blobs, _)) => format!("{blobs}/{claimed}"),
                    None => path.to_owned(),
                };
                with(plain(StatusCode::CREATED), &[("location", &location), ("docker-content-digest", &claimed)])
            }
            Ok((digest, _)) => {
                let fault = Fault::new(format!("a blob was pushed as `{claimed}`, but has digest `{digest}`"));
                self.refuse(StatusCode::BAD_REQUEST, "DIGEST_INVALID", fault)
            }
            Err(error) => self.broken(Broken::Ours(error)),
        }
    }

    /// Returns the refusal of a part that does not begin where the last one ended.
    fn out_of_step(path: &str, upload: &Upload, request: &Request<Incoming>) -> Option<Answer> {
        let range = request.headers().get(CONTENT_RANGE)?;
        let start = range.to_str().ok().and_then(range_start);
        (start != Some(upload.len())).then(|| progress(StatusCode::RANGE_NOT_SATISFIABLE, path, upload.len()))
    }

    async fn append(&self, upload: &mut Upload, mut body: Incoming) -> Result<(), Broken> {
        while let Some(frame) = body.frame().await {
            let Ok(chunk) = frame.map_err(Broken::Theirs)?.into_data() else { continue };
            upload.write(&chunk).await.map_err(Broken::Ours)?;
            self.stir();
        }
        Ok(())
    }

    fn broken(&self, broken: Broken) -> Answer {
        match broken {
            Broken::Theirs(error) => refuse(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", &error.to_string()),
            Broken::Ours(error) => {
                let fault = Fault::new(format!("a blob could not be kept: {error}"));
                self.refuse(StatusCode::INTERNAL_SERVER_ERROR, "BLOB_UPLOAD_INVALID", fault)
            }
        }
    }
}

/// Says where an upload goes on, and what of it is here.
fn progress(status: StatusCode, location: &str, length: u64) -> Answer {
    let range = format!("0-{}", length.saturating_sub(1));
    let id = location.rsplit('/').next().unwrap_or_default();
    with(plain(status), &[("location", location), ("range", &range), ("docker-upload-uuid", id)])
}
