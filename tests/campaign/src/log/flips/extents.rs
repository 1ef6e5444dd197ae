//! Where batches and group commits lie in a file, by the tables of the book: nothing of the log's
//! is asked.

use std::ops::Range;

use super::specimen::PAGE;

/// Bytes of a batch's header.
const BATCH_HEADER: usize = 120;

/// The batches of a segment.
pub(super) fn batches(segment: &[u8]) -> Vec<Range<usize>> {
    extents(segment, |at| {
        let len = BATCH_HEADER + number(segment, at + 12)?;
        Some((len, len))
    })
}

/// The group commits of a journal, without the zeros up to the next page.
pub(super) fn commits(journal: &[u8]) -> Vec<Range<usize>> {
    extents(journal, |at| {
        let len = number(journal, at + 12).filter(|len| *len > 0)?;
        Some((len, len.next_multiple_of(PAGE)))
    })
}

/// What lies one after the other in a file: `len` says how long it is, and where the next begins.
fn extents(file: &[u8], len: impl Fn(usize) -> Option<(usize, usize)>) -> Vec<Range<usize>> {
    let (mut at, mut extents) = (0, Vec::new());
    while let Some((len, step)) = len(at) {
        extents.push(at..(at + len).min(file.len()));
        at += step;
    }
    extents
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let number = bytes.get(at..at + 4)?.first_chunk()?;
    usize::try_from(u32::from_le_bytes(*number)).ok()
}
