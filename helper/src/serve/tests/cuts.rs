//! Streams that end where they should not.

use super::*;

/// At whichever byte the stream ends: all of it or nothing, and no hidden file.
#[test]
fn a_stream_cut_at_any_byte_leaves_all_as_it_was_or_as_it_shall_be() {
    let before = [Change::File("/app/a", "old a"), Change::File("/app/gone", "old"), Change::File("/app/swap", "old")];
    let after = [
        Change::File("/app/a", "the new content of a"),
        Change::File("/app/b/c", "another file"),
        Change::Remove("/app/gone".into()),
        Change::Folder("/app/swap".into(), 0o755),
        Change::Link("/app/link".into(), "a".into()),
    ];
    let session = batch(1, &after);
    let whole = {
        let container = Container::new();
        container.sync(&before).unwrap();
        container.sync(&after).unwrap();
        container.tree()
    };
    for cut in 0..=session.len() {
        let container = Container::new();
        container.sync(&before).unwrap();
        let old = container.tree();
        let answers = container.serve(&session[..cut]);
        if cut < session.len() {
            assert_eq!((answers, container.tree()), (vec![], old), "cut at {cut}");
        } else {
            assert_eq!((answers, container.tree()), (vec![(1, Answer::Done)], whole.clone()));
        }
    }
}

/// An output that nobody reads ends it, too.
#[test]
fn a_reader_that_went_away_ends_it() {
    struct Closed;
    impl std::io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let container = Container::new();
    // An input that never ends by itself.
    serve(std::io::repeat(0), Closed, &container.finder()).unwrap();
}

#[test]
fn bytes_that_are_no_request_end_it() {
    let container = Container::new();
    let error = serve(&[0, 0, 0, 5, 0, 0, 0, 1, 99][..], Vec::new(), &container.finder()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
}

#[test]
fn what_a_killed_helper_left_is_removed_with_the_next_batch() {
    let container = Container::new();
    std::fs::write(container.at("/.coracle-7ffffff-1-0"), "half").unwrap();
    container.sync(&[Change::File("/a", "1")]).unwrap();
    assert_eq!(container.tree(), ["/a 644 1"]);
}
