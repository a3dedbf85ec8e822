//! Storms on a real file system: at rest, what was kept is what is there.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A small generator: a round can be played again by its number.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn path(&mut self, below: &Path) -> PathBuf {
        let depth = self.roll(4);
        (0..=depth).fold(below.to_owned(), |path, _| {
            path.join(["a", "b", "c", "d.txt"][usize::try_from(self.roll(4)).unwrap()])
        })
    }

    /// Does something to the folder; what is impossible is left.
    fn act(&mut self, below: &Path) {
        let (path, other) = (self.path(below), self.path(below));
        let _ = match self.roll(10) {
            0..=3 => {
                let _ = fs::create_dir_all(path.parent().unwrap());
                fs::write(&path, self.0.to_string())
            }
            4 => fs::create_dir_all(&path),
            5 => fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path)),
            6..=7 => fs::rename(&path, &other),
            8 => std::os::unix::fs::symlink("a", &path),
            _ => fs::OpenOptions::new()
                .append(true)
                .open(&path)
                .and_then(|mut file| std::io::Write::write_all(&mut file, b"x")),
        };
    }
}

#[test]
fn random_traces_end_in_the_tree_that_is_on_disk() {
    let mut bench = Bench::new(&[("Dockerfile", ""), (".dockerignore", "*/c\n!*/c/b\n")]);
    for seed in 1..=200 {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        for _ in 0..dice.roll(30) {
            dice.act(&bench.root.clone());
            if dice.roll(4) == 0 {
                bench.step(Duration::ZERO);
            }
        }
        bench.settle();
    }
    assert_eq!(bench.notes, []);
}

#[test]
fn storms_of_several_writers_end_in_the_tree_that_is_on_disk() {
    let mut bench = Bench::new(&[("Dockerfile", ""), (".dockerignore", "**/c\n!a/**/c/b\n")]);
    let (root, running) = (bench.root.clone(), AtomicUsize::new(4));
    std::thread::scope(|scope| {
        for writer in 1..=4 {
            let (root, running) = (&root, &running);
            scope.spawn(move || {
                let mut dice = Dice(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(writer));
                for _ in 0..1500 {
                    dice.act(root);
                }
                running.fetch_sub(1, Ordering::Relaxed);
            });
        }
        while running.load(Ordering::Relaxed) > 0 {
            bench.step(Duration::from_millis(1));
        }
    });
    bench.settle();
    // What came to be in the storm is watched.
    let mut dice = Dice(77);
    for _ in 0..50 {
        dice.act(&root);
        bench.settle();
    }
}

#[test]
fn a_folder_of_thousands_that_comes_at_once_is_complete() {
    let mut bench = Bench::new(&[("Dockerfile", "")]);
    for file in 0..6000 {
        bench.write(&format!("new/{}/{}/{file}", file % 7, file % 31), "x");
    }
    bench.settle();
    fs::rename(bench.at("new"), bench.at("moved")).unwrap();
    bench.settle();
    fs::remove_dir_all(bench.at("moved")).unwrap();
    bench.settle();
}
