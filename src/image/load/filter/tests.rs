use std::io::Read;

use super::*;

fn hex(digit: char) -> String {
    std::iter::repeat_n(digit, 64).collect()
}

/// Returns an archive as an engine writes it, with long names and extended headers.
fn archive() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |path: &str, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, content).unwrap();
    };
    add("oci-layout", b"{}");
    for (digit, size) in [('a', 0), ('b', 511), ('c', 512), ('d', 100_000)] {
        add(&format!("blobs/sha256/{}", hex(digit)), &vec![digit as u8; size]);
    }
    add(&format!("{}/long", hex('e').repeat(3)), b"a name that needs a further header");
    let pairs: [(&str, &[u8]); 1] = [("mtime", b"1.5")];
    builder.append_pax_extensions(pairs).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_size(3);
    builder.append_data(&mut header, format!("blobs/sha256/{}", hex('f')), &b"fff"[..]).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_size(0);
    header.set_entry_type(tar::EntryType::Directory);
    builder.append_data(&mut header, "blobs/sha256/", &b""[..]).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_size(2);
    builder.append_data(&mut header, "index.json", &b"{}"[..]).unwrap();
    builder.into_inner().unwrap()
}

fn filtered(archive: &[u8], without: &[char], chunk: usize) -> (Vec<u8>, u64) {
    let mut filter = Filter::new(without.iter().map(|digit| format!("sha256:{}", hex(*digit))).collect());
    let mut out = Vec::new();
    for chunk in archive.chunks(chunk) {
        out.extend(filter.take(Bytes::copy_from_slice(chunk)).concat());
    }
    out.extend(filter.end().concat());
    (out, filter.left_out)
}

fn entries(archive: &[u8]) -> Vec<(String, usize)> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (path, content.len())
    });
    entries.collect()
}

#[test]
fn held_blobs_are_left_out_whatever_the_chunks() {
    let archive = archive();
    let all = entries(&archive);
    for chunk in [1, 7, 511, 512, 513, 4096, archive.len()] {
        let (out, left_out) = filtered(&archive, &['a', 'c', 'd', 'f'], chunk);
        let kept: Vec<_> = entries(&out);
        let expected: Vec<_> =
            all.iter().filter(|(path, _)| !"acdf".contains(path.chars().last().unwrap())).cloned().collect();
        assert_eq!(kept, expected, "in chunks of {chunk}");
        assert_eq!(left_out % 512, 0);
        // The extended header of the one that is left out goes with it.
        assert_eq!(archive.len() - out.len(), usize::try_from(left_out).unwrap() + 1024);
    }
}

#[test]
fn what_holds_nothing_passes_unchanged() {
    let archive = archive();
    for without in [&[][..], &['9'][..]] {
        assert_eq!(filtered(&archive, without, 1000), (archive.clone(), 0));
    }
}

#[test]
fn what_is_no_archive_passes_unchanged() {
    let noise: Vec<u8> = (0..5000_u32).map(|number| u8::try_from(number * 7 % 251).unwrap()).collect();
    assert_eq!(filtered(&noise, &['a'], 100), (noise.clone(), 0));
    let broken = &archive()[..1300];
    assert_eq!(filtered(broken, &['d'], 100), (broken.to_vec(), 0));
}

#[test]
fn a_name_in_an_extension_is_not_guessed_at() {
    let mut builder = tar::Builder::new(Vec::new());
    let pairs: [(&str, &[u8]); 1] = [("path", b"elsewhere")];
    builder.append_pax_extensions(pairs).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_size(3);
    builder.append_data(&mut header, format!("blobs/sha256/{}", hex('a')), &b"aaa"[..]).unwrap();
    let archive = builder.into_inner().unwrap();
    assert_eq!(filtered(&archive, &['a'], 64), (archive.clone(), 0));
}
