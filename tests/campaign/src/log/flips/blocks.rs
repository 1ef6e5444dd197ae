//! Whole blocks and batches of a segment in the wrong place: what a disk does that mixes up where
//! it writes.

use std::ops::Range;

use super::specimen::{PAGE, Specimen};

/// Every way in which a block or a batch of a segment lies in the wrong place, or is gone.
pub(super) fn misplaced(specimen: &Specimen) -> Vec<Vec<u8>> {
    let old = specimen.content();
    let blocks: Vec<Range<usize>> = (0..old.len() / PAGE)
        .map(|at| at * PAGE..(at + 1) * PAGE)
        .collect();
    let mut all = mixed(old, &blocks);
    for (to, stranger) in blocks.iter().zip(specimen.strangers.iter().cycle()) {
        for from in stranger.chunks_exact(PAGE) {
            let mut content = old.to_vec();
            content[to.clone()].copy_from_slice(from);
            all.push(content);
        }
    }
    all.extend(mixed(old, &specimen.extents));
    for (at, to) in specimen.extents.iter().enumerate() {
        for stranger in &specimen.strangers {
            // The first batch of a stranger has a length of its own.
            let mut content = old[..to.start].to_vec();
            content.extend_from_slice(stranger);
            content.extend_from_slice(&old[to.end..]);
            content.resize(old.len(), 0);
            all.push(content);
        }
        let mut gone = old[..to.start].to_vec();
        gone.extend_from_slice(&old[to.end..]);
        gone.resize(old.len(), 0);
        all.push(gone);
        // What lies behind it is moved by as much as this one is longer or shorter.
        if let Some(next) = specimen.extents.get(at + 1) {
            let mut swapped = old.to_vec();
            swapped[to.start..next.end].rotate_left(to.len());
            all.push(swapped);
            let mut repeated = old[..to.end].to_vec();
            repeated.extend_from_slice(&old[to.start..]);
            repeated.truncate(old.len());
            all.push(repeated);
        }
    }
    all
}

/// The parts of a file, each zeroed, and each pair of equal length swapped and doubled.
fn mixed(old: &[u8], parts: &[Range<usize>]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for a in parts {
        let mut zeroed = old.to_vec();
        zeroed[a.clone()].fill(0);
        all.push(zeroed);
        for b in parts.iter().filter(|b| b.len() == a.len() && *b != a) {
            let mut doubled = old.to_vec();
            doubled.copy_within(a.clone(), b.start);
            if a.start < b.start {
                let mut swapped = doubled.clone();
                swapped[a.clone()].copy_from_slice(&old[b.clone()]);
                all.push(swapped);
            }
            all.push(doubled);
        }
    }
    all
}
