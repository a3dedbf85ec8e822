//! The messages of containerd's API that are used here, field numbers as in its `api/` folder
//! (v1.7 to v2). Fields that nobody reads are left out; a decoder skips them.

use std::collections::HashMap;

use prost::Message;

/// `google.protobuf.Any`, as containerd writes it: the type's bare name, no URL before it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Any {
    #[prost(string, tag = "1")]
    pub(super) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

impl Any {
    pub(super) fn of(name: &str, message: &impl Message) -> Self {
        Self { type_url: name.to_owned(), value: message.encode_to_vec() }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Empty {}

/// `images.v1`, `content.v1`: `List`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ListRequest {
    #[prost(string, repeated, tag = "1")]
    pub(super) filters: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Descriptor {
    #[prost(string, tag = "1")]
    pub(super) media_type: String,
    #[prost(string, tag = "2")]
    pub(super) digest: String,
    #[prost(int64, tag = "3")]
    pub(super) size: i64,
    #[prost(map = "string, string", tag = "5")]
    pub(super) annotations: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Image {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(map = "string, string", tag = "2")]
    pub(super) labels: HashMap<String, String>,
    #[prost(message, optional, tag = "3")]
    pub(super) target: Option<Descriptor>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Images {
    #[prost(message, repeated, tag = "1")]
    pub(super) images: Vec<Image>,
}

/// Requests and answers of `Get`, `Create` and `Update` that are about one image.
#[derive(Clone, PartialEq, Message)]
pub(super) struct OneImage {
    #[prost(message, optional, tag = "1")]
    pub(super) image: Option<Image>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct GetImage {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct DeleteImage {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    /// What nothing refers to any more is collected before the answer.
    #[prost(bool, tag = "2")]
    pub(super) sync: bool,
}

/// `content.v1.Info`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Content {
    #[prost(string, tag = "1")]
    pub(super) digest: String,
    #[prost(int64, tag = "2")]
    pub(super) size: i64,
    #[prost(map = "string, string", tag = "5")]
    pub(super) labels: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Contents {
    #[prost(message, repeated, tag = "1")]
    pub(super) info: Vec<Content>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ListSnapshots {
    #[prost(string, tag = "1")]
    pub(super) snapshotter: String,
}

/// `snapshots.v1.Info`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Snapshot {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(int32, tag = "3")]
    pub(super) kind: i32,
}

/// `snapshots.v1.Kind`: what is unpacked, and no container writes to.
pub(super) const COMMITTED: i32 = 3;

#[derive(Clone, PartialEq, Message)]
pub(super) struct Snapshots {
    #[prost(message, repeated, tag = "1")]
    pub(super) info: Vec<Snapshot>,
}

/// `streaming.v1`: the first message of a stream.
#[derive(Clone, PartialEq, Message)]
pub(super) struct StreamInit {
    #[prost(string, tag = "1")]
    pub(super) id: String,
}

/// `types.transfer`: how many more bytes may be sent.
#[derive(Clone, PartialEq, Message)]
pub(super) struct WindowUpdate {
    #[prost(int32, tag = "1")]
    pub(super) update: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Data {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Transfer {
    #[prost(message, optional, tag = "1")]
    pub(super) source: Option<Any>,
    #[prost(message, optional, tag = "2")]
    pub(super) destination: Option<Any>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ImageImportStream {
    #[prost(string, tag = "1")]
    pub(super) stream: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Platform {
    #[prost(string, tag = "1")]
    pub(super) os: String,
    #[prost(string, tag = "2")]
    pub(super) architecture: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ImageStore {
    #[prost(message, repeated, tag = "3")]
    pub(super) platforms: Vec<Platform>,
    #[prost(message, repeated, tag = "6")]
    pub(super) extra_references: Vec<ImageReference>,
    #[prost(message, repeated, tag = "10")]
    pub(super) unpacks: Vec<Unpack>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ImageReference {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(bool, tag = "2")]
    pub(super) is_prefix: bool,
    /// A name in the archive counts instead.
    #[prost(bool, tag = "3")]
    pub(super) allow_overwrite: bool,
}

/// `UnpackConfiguration`; without a snapshotter it is the node's own.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Unpack {
    #[prost(message, optional, tag = "1")]
    pub(super) platform: Option<Platform>,
}
