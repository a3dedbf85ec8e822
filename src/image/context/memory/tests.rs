use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::UNIX_EPOCH;

use tempfile::TempDir;

use super::super::{Context, Error, What, read, read_at};
use super::*;

/// By this clock everything that a test writes is old.
fn later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(60)
}

fn much_later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(120)
}

/// A context of three files, and a cache.
struct Place {
    root: TempDir,
    cache: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { root: TempDir::new().unwrap(), cache: TempDir::new().unwrap() };
        fs::create_dir(place.path("src")).unwrap();
        for (name, content) in [("Dockerfile", "FROM x"), ("src/a", "one"), ("src/b", "two")] {
            fs::write(place.path(name), content).unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Returns the context, and how many files were read for it; checks it against a read
    /// that knows nothing.
    fn read(&self, now: Now) -> (Context, usize) {
        let dockerfile = self.path("Dockerfile");
        let (context, hashed) = read_at(self.root.path(), &dockerfile, Some(self.cache.path()), now).unwrap();
        assert_eq!(context.entries, read(self.root.path(), &dockerfile, None).unwrap().entries);
        (context, hashed)
    }

    fn hashed(&self) -> usize {
        self.read(later).1
    }

    fn memory(&self) -> Memory {
        Memory::of(self.cache.path(), self.root.path(), &self.path("Dockerfile")).unwrap()
    }
}

/// Tells a writer to stop when the reader is done, or panics.
#[derive(Default)]
struct Stop(AtomicBool);

impl Stop {
    fn guard(&self) -> impl Drop + '_ {
        struct Guard<'a>(&'a Stop);
        impl Drop for Guard<'_> {
            fn drop(&mut self) {
                self.0.0.store(true, Ordering::Relaxed);
            }
        }
        Guard(self)
    }
}

/// Lets the file system's clock go on, so that the next write has another time.
fn tick() {
    std::thread::sleep(Duration::from_millis(25));
}

/// Writes, and sets the time of the last write back to what it was.
fn write_secretly(path: &Path, content: &str) {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    fs::write(path, content).unwrap();
    File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
}

#[test]
fn what_is_unchanged_is_not_read_again() {
    let place = Place::new();
    assert_eq!(place.hashed(), 3);
    assert_eq!(place.hashed(), 0);
    symlink("a", place.path("src/link")).unwrap();
    fs::create_dir(place.path("empty")).unwrap();
    assert_eq!(place.hashed(), 0, "neither has content");
    fs::write(place.path("src/c"), "three").unwrap();
    assert_eq!(place.hashed(), 1);
    fs::remove_file(place.path("src/c")).unwrap();
    assert_eq!(place.hashed(), 0);
    assert_eq!(place.memory().load(later).len(), 3, "what is gone is forgotten");
}

#[test]
fn every_change_is_seen() {
    type Change = fn(&Place);
    let changes: [(&str, usize, Change); 9] = [
        ("content", 1, |place| fs::write(place.path("src/a"), "other").unwrap()),
        ("same size and time", 1, |place| write_secretly(&place.path("src/a"), "ONE")),
        ("cut and written again", 1, |place| {
            File::create(place.path("src/a")).unwrap();
            write_secretly(&place.path("src/a"), "ONE");
        }),
        ("mode", 1, |place| fs::set_permissions(place.path("src/a"), PermissionsExt::from_mode(0o700)).unwrap()),
        ("replaced by one with its size and time", 1, |place| {
            let modified = fs::metadata(place.path("src/a")).unwrap().modified().unwrap();
            fs::write(place.path("new"), "ONE").unwrap();
            File::options().write(true).open(place.path("new")).unwrap().set_modified(modified).unwrap();
            fs::rename(place.path("new"), place.path("src/a")).unwrap();
        }),
        ("names swapped", 2, |place| {
            for (from, to) in [("src/a", "c"), ("src/b", "src/a"), ("c", "src/b")] {
                fs::rename(place.path(from), place.path(to)).unwrap();
            }
        }),
        ("renamed", 1, |place| fs::rename(place.path("src/a"), place.path("src/z")).unwrap()),
        ("a link now", 0, |place| {
            fs::remove_file(place.path("src/a")).unwrap();
            symlink("b", place.path("src/a")).unwrap();
        }),
        ("ignored now", 1, |place| fs::write(place.path(".dockerignore"), "src/a\n").unwrap()),
    ];
    for (what, reads, change) in changes {
        let place = Place::new();
        let (before, _) = place.read(later);
        tick();
        change(&place);
        // `read` compares the result with what is there.
        let (after, hashed) = place.read(later);
        assert_eq!(hashed, reads, "{what}");
        assert_ne!(before.entries, after.entries, "{what}");
        assert_eq!(place.hashed(), 0, "{what}");
    }
}

#[test]
fn what_was_written_a_moment_ago_is_read_again() {
    let place = Place::new();
    assert_eq!(place.read(SystemTime::now).1, 3);
    assert_eq!(place.read(SystemTime::now).1, 3);
    assert!(!place.memory().path.exists(), "there is nothing to remember");
    assert_eq!(place.hashed(), 3);
    assert_eq!(place.hashed(), 0);
}

#[test]
fn a_clock_that_was_set_back_makes_nothing_known() {
    let place = Place::new();
    assert_eq!(place.read(much_later).1, 3);
    assert_eq!(place.read(much_later).1, 0);
    assert_eq!(place.hashed(), 3, "it was written at a time that is yet to come");
    assert_eq!(place.hashed(), 0, "and is written anew");
    assert_eq!(place.read(|| UNIX_EPOCH + Duration::from_secs(1_000_000)).1, 3);
    assert_eq!(place.hashed(), 0, "with times from the future nothing is remembered");
}

#[test]
fn a_memory_that_is_not_whole_is_none() {
    let place = Place::new();
    place.read(later);
    let path = place.memory().path;
    let good = fs::read(&path).unwrap();
    let mut older = good.clone();
    older[16] = b'0';
    let mut broken: Vec<Vec<u8>> = vec![Vec::new(), b"something else".to_vec(), [&good[..], b"more"].concat(), older];
    broken.extend((0..good.len()).step_by(13).map(|end| good[..end].to_vec()));
    for at in (0..good.len()).step_by(7) {
        let mut flipped = good.clone();
        flipped[at] ^= 0x10;
        broken.push(flipped);
    }
    for bytes in broken {
        assert_eq!(decode(&bytes), None);
        fs::write(&path, bytes).unwrap();
        assert!(place.memory().load(later).is_empty());
    }
    assert_eq!(place.hashed(), 3);
    assert_eq!(fs::read(&path).unwrap().len(), good.len(), "it is whole again");
    fs::remove_dir_all(place.cache.path()).unwrap();
    assert_eq!((place.hashed(), place.hashed()), (3, 0), "the cache may go at any time");
}

#[test]
fn only_the_user_can_read_it_and_it_is_written_only_for_a_change() {
    let place = Place::new();
    place.read(later);
    let path = place.memory().path;
    let found = fs::metadata(&path).unwrap();
    assert_eq!(found.mode() & 0o7777, 0o600);
    assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o7777, 0o700);
    place.read(later);
    assert_eq!(fs::metadata(&path).unwrap().ino(), found.ino());
    tick();
    fs::write(place.path("src/a"), "1").unwrap();
    place.read(later);
    let bytes = fs::read(&path).unwrap();
    assert!(!bytes.windows(6).any(|window| window == b"FROM x"), "no content");
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
}

#[test]
fn without_a_cache_folder_all_is_read_and_nothing_fails() {
    let place = Place::new();
    // Neither root nor anybody else can make a folder below a file.
    fs::write(place.cache.path().join("contexts"), "").unwrap();
    assert_eq!((place.hashed(), place.hashed()), (3, 3));
    let file = place.cache.path().join("contexts");
    let dockerfile = place.path("Dockerfile");
    assert_eq!(read_at(place.root.path(), &dockerfile, Some(&file), later).unwrap().1, 3);
    // A cache within the context would change the context whenever it is written.
    let inside = place.path("src/cache");
    assert_eq!(read_at(place.root.path(), &dockerfile, Some(&inside), later).unwrap().1, 3);
    assert!(!inside.exists());
}

#[test]
fn each_folder_and_dockerfile_has_its_own_and_unused_ones_go() {
    let place = Place::new();
    place.read(later);
    let own = place.memory().path;
    fs::write(place.path("other"), "FROM y").unwrap();
    read_at(place.root.path(), &place.path("other"), Some(place.cache.path()), later).unwrap();
    let folder = own.parent().unwrap();
    assert_eq!(fs::read_dir(folder).unwrap().count(), 2);
    let (unused, killed, drafted) = (folder.join("unused"), folder.join("draft-old"), folder.join("draft-new"));
    for (path, days) in [(&unused, 31), (&killed, 1), (&drafted, 0), (&own, 29)] {
        let file = File::options().create(true).append(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(days * 24 * 3600)).unwrap();
    }
    assert_eq!(place.read(later).1, 1, "the other Dockerfile");
    assert!(!unused.exists() && !killed.exists() && drafted.exists() && own.exists());
    File::open(&own).unwrap().set_modified(SystemTime::now() - Duration::from_secs(29 * 24 * 3600)).unwrap();
    assert_eq!(place.hashed(), 0);
    assert!(fs::metadata(&own).unwrap().modified().unwrap().elapsed().unwrap() < IN_USE, "it is in use");
    forget(place.cache.path());
    assert_eq!(place.hashed(), 4);
}

#[test]
fn two_commands_at_once_do_no_harm() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..20 {
                    if round % 5 == 0 {
                        forget(place.cache.path());
                    }
                    assert!(place.read(later).1 <= 3);
                }
            });
        }
    });
    place.read(later);
    assert_eq!(place.hashed(), 0);
}

#[test]
fn a_growing_file_is_no_content() {
    let place = Place::new();
    let path = place.path("src/log");
    let stop = Stop::default();
    // Reading it takes far longer than the pause between two lines.
    fs::write(&path, vec![b'x'; 1 << 25]).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut log = File::options().append(true).open(&path).unwrap();
            while !stop.0.load(Ordering::Relaxed) {
                log.write_all(b"line\n").unwrap();
                std::thread::sleep(Duration::from_micros(50));
            }
        });
        let _stops = stop.guard();
        let error = read_at(place.root.path(), &place.path("Dockerfile"), Some(place.cache.path()), SystemTime::now);
        assert!(matches!(error.unwrap_err(), Error::Changed { path } if path.ends_with("src/log")));
    });
    place.read(later);
}

/// A writer gives all files of a tree one number after the other, in order; so a tree that
/// existed has numbers that fall by one at most, and once at most.
#[test]
fn what_is_recorded_under_a_writer_existed() {
    let place = Place::new();
    let names: Vec<PathBuf> = (0..8).map(|at| place.path(&format!("src/f{at}"))).collect();
    let digests: HashMap<[u8; 32], usize> =
        (0..5000).map(|number| (Sha256::digest(format!("{number:04}")).into(), number)).collect();
    // In one step: no other length in between.
    let write = |number: usize, name: &Path| {
        let mut file = File::options().create(true).truncate(false).write(true).open(name).unwrap();
        file.write_all(format!("{number:04}").as_bytes()).unwrap();
    };
    for name in &names {
        write(0, name);
    }
    let stop = Stop::default();
    let mut recorded = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !stop.0.load(Ordering::Relaxed) {
                number += 1;
                for (at, name) in names.iter().enumerate() {
                    // Quiet for longer now and then, so that a reader can come through.
                    std::thread::sleep(Duration::from_millis(if (number * 8 + at) % 5 == 0 { 90 } else { 1 }));
                    write(number, name);
                }
            }
        });
        let _stops = stop.guard();
        for _ in 0..25 {
            match read(place.root.path(), &place.path("Dockerfile"), Some(place.cache.path())) {
                Err(Error::Changed { .. }) => {}
                Err(error) => panic!("{error}"),
                Ok(context) => {
                    recorded += 1;
                    let numbers = context.entries.iter().filter_map(|entry| match &entry.what {
                        What::File { digest, .. } => digests.get(digest).copied(),
                        _ => None,
                    });
                    let mut numbers: Vec<usize> = numbers.collect();
                    assert_eq!(numbers.len(), 8);
                    let newest = numbers[0];
                    assert!(numbers.is_sorted_by(|a, b| a >= b), "{numbers:?}");
                    numbers.retain(|number| *number != newest && *number + 1 != newest);
                    assert!(numbers.is_empty(), "{numbers:?}");
                }
            }
        }
    });
    assert!(recorded > 0, "the writer pauses long enough for some");
}

#[test]
#[ignore = "a measurement: prints what a read costs of the folder that `/tmp/context` leads to"]
fn cost() {
    let (root, cache) = (PathBuf::from("/tmp/context"), TempDir::new().unwrap());
    for _ in 0..6 {
        let began = std::time::Instant::now();
        let (context, hashed) = read_at(&root, &root.join("Dockerfile"), Some(cache.path()), later).unwrap();
        println!("{} entries, {hashed} read, {:?}", context.entries.len(), began.elapsed());
    }
}
