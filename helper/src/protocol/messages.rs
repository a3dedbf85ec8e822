//! The messages.

use std::path::PathBuf;

use super::codec::{Bytes, Malformed, Wire};

/// What `coracle` asks for. Containers are named by their id, without the runtime's prefix;
/// targets are absolute paths in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// What is at these targets? A link is not followed at the end: [`Answer::Looked`].
    Look { container: String, targets: Vec<PathBuf> },
    /// Begins a batch of so many ops: [`Answer::Done`] once it is carried out, and no sooner.
    Sync { container: String, ops: u32 },
    /// Some of the ops of the batch that has this number.
    Ops(Vec<Op>),
    /// The next bytes of its files.
    Data(Vec<u8>),
    /// Forget the batch: [`Answer::Done`], and nothing has changed.
    Withdraw,
    /// Stop the process and start it again: [`Answer::Found`] with the new one.
    Restart { container: String },
    /// Which processes run there? [`Answer::Processes`].
    Processes { container: String },
    /// Does it live? [`Answer::Found`].
    Find { container: String },
    /// The helper is to end; not answered.
    Leave,
}

/// What the helper says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Said once, before everything else: [`super::VERSION`].
    Hello {
        version: u32,
    },
    /// In the order of the targets; nothing there is `None`.
    Looked(Vec<Option<Node>>),
    Done,
    Found(Found),
    Processes(Vec<Process>),
    Refused(Refusal),
}

/// What is done to one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Write the file, folder or link. Whatever else is there gives way, a folder only when it
    /// is empty once the batch's removals are done. Folders above it are made as needed.
    Put { target: PathBuf, node: Node },
    /// Remove what is there, a folder only when it is empty then. Nothing there is well, too.
    Remove { target: PathBuf },
}

/// A file, folder or link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Permission bits, `0o7777` at most; `0o777` for a link.
    pub mode: u32,
    pub thing: Thing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thing {
    Folder,
    /// Where it leads, as written.
    Link(PathBuf),
    File {
        /// SHA-256 of the content.
        digest: [u8; 32],
        /// Bytes.
        size: u64,
    },
    /// A device, socket or pipe, or a file that could not be read. Never part of an [`Op`].
    Other,
}

/// A container that lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Of its first process, as the node counts; after a restart, of the service's process, as
    /// the container counts.
    pub pid: u32,
    /// Its first process is a supervisor of ours.
    pub supervised: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// As the node counts.
    pub pid: u32,
    pub argv: Vec<Vec<u8>>,
    /// A framework started it that will start it again when a file changes (Flask, Django).
    pub reloads: bool,
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Where; empty if nowhere in particular.
    pub path: PathBuf,
    pub kind: Kind,
    /// The reason, as the kernel words it or as we do.
    pub words: String,
    /// Something of the batch is done nevertheless: what the container holds is not known.
    pub partly: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    ReadOnly,
    NoSpace,
    /// A folder would have to go that has something in it.
    NotEmpty,
    /// The path is none in the container.
    Outside,
    /// The container is.
    Gone,
    /// A file's content is not what was announced.
    Torn,
    /// The container's first process is no supervisor of ours.
    NotSupervised,
    Other,
}

macro_rules! wire {
    ($name:ident { $($tag:literal => $variant:ident $(($value:ident))? $({ $($field:ident),* })?),* $(,)? }) => {
        impl Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                match self {$(
                    Self::$variant $(($value))? $({ $($field),* })? => {
                        u8::put(&$tag, out);
                        $($value.put(out);)?
                        $($($field.put(out);)*)?
                    }
                )*}
            }
            fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
                Ok(match u8::take(from)? {
                    $($tag => Self::$variant
                        $(({ let $value = Wire::take(from)?; $value }))?
                        $({ $($field: Wire::take(from)?),* })?,)*
                    _ => return Err(Malformed("an unknown kind of message")),
                })
            }
        }
    };
}

macro_rules! wire_struct {
    ($name:ident { $($field:ident),* }) => {
        impl Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$field.put(out);)*
            }
            fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
                Ok(Self { $($field: Wire::take(from)?),* })
            }
        }
    };
}

wire!(Answer {
    0 => Hello { version }, 1 => Looked(nodes), 2 => Done, 3 => Found(found), 4 => Processes(processes),
    5 => Refused(refusal),
});
wire!(Op { 0 => Put { target, node }, 1 => Remove { target } });
wire!(Thing { 0 => Folder, 1 => Link(target), 2 => File { digest, size }, 3 => Other });
wire!(Kind {
    0 => ReadOnly, 1 => NoSpace, 2 => NotEmpty, 3 => Outside, 4 => Gone, 5 => Torn, 6 => NotSupervised, 7 => Other,
});
wire_struct!(Node { mode, thing });
wire_struct!(Found { pid, supervised });
wire_struct!(Refusal { path, kind, words, partly });

impl Wire for Process {
    fn put(&self, out: &mut Vec<u8>) {
        self.pid.put(out);
        self.reloads.put(out);
        u32::try_from(self.argv.len()).expect("argv is short").put(out);
        self.argv.iter().for_each(|word| Bytes(word).put(out));
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        let (pid, reloads, words) = (u32::take(from)?, bool::take(from)?, u32::take(from)?);
        let argv = (0..words).map(|_| Bytes::take(from)).collect::<Result<_, _>>()?;
        Ok(Self { pid, argv, reloads })
    }
}

impl Wire for Request {
    fn put(&self, out: &mut Vec<u8>) {
        let tag: u8 = match self {
            Self::Look { .. } => 0,
            Self::Sync { .. } => 1,
            Self::Ops(_) => 2,
            Self::Data(_) => 3,
            Self::Withdraw => 4,
            Self::Restart { .. } => 5,
            Self::Processes { .. } => 6,
            Self::Find { .. } => 7,
            Self::Leave => 8,
        };
        tag.put(out);
        match self {
            Self::Look { container, targets } => {
                container.put(out);
                targets.put(out);
            }
            Self::Sync { container, ops } => {
                container.put(out);
                ops.put(out);
            }
            Self::Ops(ops) => ops.put(out),
            Self::Data(data) => Bytes(data).put(out),
            Self::Restart { container } | Self::Processes { container } | Self::Find { container } => {
                container.put(out);
            }
            Self::Withdraw | Self::Leave => {}
        }
    }

    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(match u8::take(from)? {
            0 => Self::Look { container: Wire::take(from)?, targets: Wire::take(from)? },
            1 => Self::Sync { container: Wire::take(from)?, ops: Wire::take(from)? },
            2 => Self::Ops(Wire::take(from)?),
            3 => Self::Data(Bytes::take(from)?),
            4 => Self::Withdraw,
            5 => Self::Restart { container: Wire::take(from)? },
            6 => Self::Processes { container: Wire::take(from)? },
            7 => Self::Find { container: Wire::take(from)? },
            8 => Self::Leave,
            _ => return Err(Malformed("an unknown kind of request")),
        })
    }
}
