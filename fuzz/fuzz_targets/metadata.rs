//! The metadata: an image with any body, or a journal with any change in it, checksums put right.
#![no_main]

use std::path::Path;

use levada_fuzz::{FOLDER, files, image, open_and_read, overwrite, sound};
use levada_log::vfs::{Open, Vfs as _};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((which, bytes)) = bytes.split_first() else {
        return;
    };
    let fs = sound();
    if which % 2 == 0 {
        let image = image(bytes);
        let path = Path::new(FOLDER).join("image");
        let file = fs.open(&path, Open::Write).expect("the file is there");
        file.set_len(image.len() as u64)
            .expect("nothing fails in memory");
        overwrite(&fs, &path, &image);
    } else {
        for journal in files(&fs, "journal") {
            let mut frames = fs.contents(&journal).expect("the file is there");
            if let Some(first) = frames.get_mut(..4096) {
                change(first, bytes);
            }
            overwrite(&fs, &journal, &frames);
        }
    }
    open_and_read(&fs);
});

/// Makes a frame one of a single change: its head stays, but for lengths and checksums.
fn change(frame: &mut [u8], body: &[u8]) {
    let body = &body[..body.len().min(frame.len() - 104)];
    let len = u32::try_from(104 + body.len()).expect("a page is short");
    let body_len = u32::try_from(body.len()).expect("a page is short");
    frame[12..16].copy_from_slice(&len.to_le_bytes());
    frame[16..20].copy_from_slice(&1_u32.to_le_bytes());
    frame[72..104].fill(0);
    frame[72..76].copy_from_slice(&2_u32.to_le_bytes());
    frame[76..80].copy_from_slice(&body_len.to_le_bytes());
    frame[80..84].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
    let directory = crc32c::crc32c(&frame[72..104]);
    frame[20..24].copy_from_slice(&directory.to_le_bytes());
    frame[104..104 + body.len()].copy_from_slice(body);
    frame[104 + body.len()..].fill(0);
    let head = crc32c::crc32c(&frame[12..72]);
    frame[8..12].copy_from_slice(&head.to_le_bytes());
}
