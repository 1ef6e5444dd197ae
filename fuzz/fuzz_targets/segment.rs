//! Bytes over the front of a segment of a folder that is sound otherwise.
#![no_main]

use levada_fuzz::{files, open_and_read, overwrite, sound};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let fs = sound();
    for segment in files(&fs, "topics") {
        overwrite(&fs, &segment, bytes);
    }
    open_and_read(&fs);
});
