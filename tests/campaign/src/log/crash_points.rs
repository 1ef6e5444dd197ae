//! One short life and the opening after it, and a crash before each of their calls in turn.

use std::path::{Path, PathBuf};

use levada_core::{Rng, Seed};
use levada_testkit::vfs::{Fault as Faulty, FaultyFs, Keep, When};

use super::scene::{Ending, Plant, Scene};
use crate::campaign::Fault;

/// The last thing that is done in the short life.
const LAST_ACT: u32 = 15;
/// Up to so many unsynced changes, every subset and order of them is tried; of more, some.
const FEW: usize = 3;
/// How many subsets are drawn where there are more changes: about as many as three have.
const DRAWN: usize = 16;
/// Bytes that a disk writes whole.
const BLOCK: usize = 512;
/// Group commits start at multiples of this in a journal.
const PAGE: usize = 4096;
/// The bytes of a group commit's head.
const HEAD: usize = 72;

/// Plays the short life, kills the process and opens the folder again, with a crash before call
/// `call`; `None` if it came to its end before.
fn crashed(call: u64, prepare: fn(&FaultyFs)) -> Result<Option<Scene>, Fault> {
    let mut scene = Scene::new(2, Plant::None)?;
    prepare(&scene.fs);
    let first = scene.fs.calls();
    scene.fs.inject(Faulty::Crash, When::After(call));
    for act in 0..=LAST_ACT {
        match act {
            0 | 8 => scene.create_topic(),
            13 => scene.seal()?,
            6 | 14 => scene.move_group()?,
            _ => scene.append()?,
        }
        // Every third append is committed together with the next.
        if act % 3 != 0 || act == LAST_ACT {
            scene.drain()?;
        }
        if scene.fs.is_crashed() {
            return Ok(Some(scene));
        }
    }
    let played = scene.fs.calls() - first;
    scene.crash_in_opening(call - played)?;
    Ok(scene.fs.is_crashed().then_some(scene))
}

/// The scenes of all crashes, in the order of their calls, each played anew when it is due.
fn crashes(prepare: fn(&FaultyFs)) -> impl Iterator<Item = (u64, Scene)> {
    let crash = move |call| {
        let crashed = crashed(call, prepare);
        let crashed = crashed.unwrap_or_else(|fault| panic!("up to call {call}: {fault}"));
        crashed.map(|scene| (call, scene))
    };
    (0..).map_while(crash)
}

/// Every way in which some of `count` changes reach the disk, in every order of them.
fn every_order(count: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    let mut at = 0;
    while let Some(shorter) = all.get(at).cloned() {
        let others = (0..count).filter(|change| !shorter.contains(change));
        all.extend(others.map(|change| [&shorter[..], &[change]].concat()));
        at += 1;
    }
    all
}

/// Some of `count` changes, in some order.
fn drawn(rng: &mut Rng, count: usize) -> Vec<usize> {
    let mut left: Vec<_> = (0..count).collect();
    let mut kept = Vec::new();
    while !left.is_empty() {
        let at = usize::try_from(rng.below(left.len() as u64)).unwrap();
        let change = left.swap_remove(at);
        if rng.chance(1, 2) {
            kept.push(change);
        }
    }
    kept
}

#[test]
fn power_cut_after_any_call_keeps_what_was_acknowledged_whatever_else_is_kept() {
    let mut rng = Seed::new(4).rng("what is kept");
    let (mut calls, mut cuts, mut with_most) = (0, 0, 0);
    for (call, scene) in crashes(|_| {}) {
        let unsynced = scene.fs.unsynced();
        let all = match unsynced {
            0..=FEW => every_order(unsynced),
            _ => (0..DRAWN).map(|_| drawn(&mut rng, unsynced)).collect(),
        };
        for kept in &all {
            let mut scene = scene.stopped();
            let looked = scene.cut(|fs| fs.power_cut_keeping(kept));
            // And the log goes on from there.
            let went_on = looked
                .and_then(|_| scene.append())
                .and_then(|()| scene.finish());
            went_on.unwrap_or_else(|fault| panic!("{kept:?} at call {call}: {fault}"));
        }
        calls += 1;
        cuts += all.len();
        with_most += usize::from(unsynced == FEW);
    }
    assert!(calls > 200 && cuts > 500, "{calls} calls, {cuts} cuts");
    assert!(
        with_most > 0,
        "all subsets of {FEW} changes were tried {with_most} times"
    );
}

#[test]
fn kill_before_any_call_keeps_what_was_acknowledged() {
    for (call, mut scene) in crashes(|_| {}) {
        let ended = scene.end(Ending::Kill).and_then(|()| scene.finish());
        ended.unwrap_or_else(|fault| panic!("killed before call {call}: {fault}"));
    }
}

/// What power cuts of one kind have done, and what the log said of them.
#[derive(Debug, Default)]
struct Said {
    /// How many cuts did what they are there for.
    hit: u64,
    /// How many of these the log has called torn.
    torn: u64,
}

/// Cuts the power so before each call; `cut` says whether it did what it is there for. The log
/// finds no damage and no record that was not asked for, misses none that was acknowledged, and
/// goes on.
fn cut_at_each_call(prepare: fn(&FaultyFs), cut: impl Fn(&FaultyFs) -> (FaultyFs, bool)) -> Said {
    let mut said = Said::default();
    for (call, mut scene) in crashes(prepare) {
        let (after, is_hit) = cut(&scene.fs);
        let recovery = scene.cut(|_| after);
        let recovery = recovery.unwrap_or_else(|fault| panic!("at call {call}: {fault}"));
        said.hit += u64::from(is_hit);
        said.torn += u64::from(is_hit && recovery.cut.is_some());
        let went_on = scene.append().and_then(|()| scene.finish());
        went_on.unwrap_or_else(|fault| panic!("after call {call}: {fault}"));
    }
    said
}

/// A power cut of this kind, and whether this fault fired in it.
fn keeping(keep: Keep, fault: Faulty) -> impl Fn(&FaultyFs) -> (FaultyFs, bool) {
    move |fs| {
        let after = fs.power_cut(keep);
        let is_hit = after.fired()[fault] > fs.fired()[fault];
        (after, is_hit)
    }
}

#[test]
fn write_that_outlives_an_earlier_one_is_not_taken_for_records() {
    // A frame that is written in pieces has some that can be reordered.
    let in_pieces = |fs: &FaultyFs| fs.inject(Faulty::ShortWrite, When::OneIn(2));
    let said = cut_at_each_call(in_pieces, keeping(Keep::LastWrites, Faulty::Reordered));
    assert!(said.hit > 30, "{said:?}");
    assert!(
        (1..said.hit).contains(&said.torn),
        "where the head was lost nothing is torn: {said:?}"
    );
}

#[test]
fn zeros_and_garbage_in_a_file_that_has_grown_are_not_taken_for_records() {
    for (keep, fault) in [
        (Keep::Zeros, Faulty::ZeroTail),
        (Keep::Garbage, Faulty::GarbageTail),
    ] {
        let said = cut_at_each_call(|_| {}, keeping(keep, fault));
        assert!(said.hit > 30, "{keep:?}: {said:?}");
        assert_eq!(
            said.torn, 0,
            "of the commit nothing is left to be called torn"
        );
    }
}

/// A power cut that leaves the first block of a group commit, and this in the place of each byte
/// after it.
fn first_block_and(fill: fn(u8) -> u8) -> impl Fn(&FaultyFs) -> (FaultyFs, bool) {
    move |fs| {
        let (before, after) = (fs.power_cut(Keep::Nothing), fs.power_cut(Keep::Everything));
        let is_in_journal = |path: &&PathBuf| path.to_string_lossy().contains("/journal/");
        let mut is_hit = false;
        for path in after.files().iter().filter(is_in_journal) {
            let (Some(old), Some(new)) = (before.contents(path), after.contents(path)) else {
                continue;
            };
            let is_new = |at: &usize| new[*at] != 0 && old.get(*at) != Some(&new[*at]);
            let mut written = (0..new.len()).filter(is_new);
            // The head of a commit is at the start of a page, and is written after the rest.
            let first = written.next().filter(|first| first % PAGE < HEAD);
            if let (Some(first), Some(last)) = (first, written.next_back())
                && first + BLOCK <= last
            {
                let rest = new[first + BLOCK..=last].iter();
                after.rot(
                    path,
                    first + BLOCK,
                    &rest.copied().map(fill).collect::<Vec<_>>(),
                );
                is_hit = true;
            }
        }
        (after, is_hit)
    }
}

#[test]
fn commit_of_which_only_the_first_block_was_written_is_called_torn() {
    let fills: [fn(u8) -> u8; 2] = [|_| 0, |byte| byte ^ 0x5a];
    for fill in fills {
        let said = cut_at_each_call(|_| {}, first_block_and(fill));
        assert!(said.hit > 5, "{said:?}");
        assert_eq!(said.torn, said.hit);
    }
}

#[test]
fn segment_whose_name_was_not_durable_is_not_missed() {
    let segments = |fs: &FaultyFs| {
        let is_segment = |path: &Path| path.components().any(|part| part.as_os_str() == "topics");
        let files = fs.files().into_iter();
        files
            .filter(|path| is_segment(path))
            .collect::<Vec<PathBuf>>()
    };
    let mut lost = 0;
    for (call, mut scene) in crashes(|_| {}) {
        let after = segments(&scene.fs.power_cut(Keep::Nothing));
        let is_lost = |segment: &PathBuf| !after.contains(segment);
        lost += usize::from(segments(&scene.fs).iter().any(is_lost));
        let looked = scene.cut(|fs| fs.power_cut(Keep::Nothing));
        looked.unwrap_or_else(|fault| panic!("call {call}: {fault}"));
    }
    assert!(lost > 5, "segments were begun and lost {lost} times");
}
