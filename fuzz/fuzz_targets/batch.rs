//! Bytes over the first batch of a segment, its checksum put right, so that its decoder reads them.
#![no_main]

use levada_fuzz::{files, open_and_read, overwrite, seal_batch, sound};
use libfuzzer_sys::fuzz_target;

/// From here on a batch says what it holds; before are its magic, version and checksum.
const FROM: usize = 12;

fuzz_target!(|bytes: &[u8]| {
    let fs = sound();
    for segment in files(&fs, "topics") {
        let mut batches = fs.contents(&segment).expect("the file is there");
        let room = batches.len() - FROM;
        let bytes = &bytes[..bytes.len().min(room)];
        batches[FROM..FROM + bytes.len()].copy_from_slice(bytes);
        seal_batch(&mut batches);
        overwrite(&fs, &segment, &batches);
    }
    open_and_read(&fs);
});
