//! What a node's state promises, against plain maps.

use std::collections::BTreeMap;

use super::*;
use crate::Seed;

fn state() -> NodeState<u64> {
    NodeState::new(256, 1, Seed::new(1).rng("state"))
}

fn fire_all(state: &mut NodeState<u64>, limit: i64) -> Vec<(i64, u64, u32)> {
    let limit = Timestamp::from_millis(limit);
    let fired = std::iter::from_fn(|| state.pop_due(Time::Event, limit));
    fired
        .map(|f| (f.timer.at.as_millis(), f.key, f.timer.tag))
        .collect()
}

fn set(state: &mut NodeState<u64>, key: u64, at: i64, tag: u32) {
    state.set_timer(
        Timer::event(Timestamp::from_millis(at)).tagged(tag),
        &key,
        hash(key),
    );
    state.settle();
}

fn hash(key: u64) -> u32 {
    crate::key::murmur2(&key.to_be_bytes())
}

#[test]
fn timers_fire_by_time_then_hash_then_key_then_tag_however_they_were_set() {
    let mut rng = Seed::new(9).rng("timers");
    let (mut state, mut want) = (state(), BTreeMap::new());
    for _ in 0..5_000 {
        let (key, at, tag) = (rng.below(50), rng.below(20_000), 0);
        let at = i64::try_from(at).unwrap();
        set(&mut state, key, at, tag);
        want.insert((key, tag), at);
    }
    let mut want: Vec<_> = want
        .into_iter()
        .map(|((key, tag), at)| (at, hash(key), key, tag))
        .collect();
    want.sort_unstable();
    let early = fire_all(&mut state, 9_999);
    let mut all = early.clone();
    all.extend(fire_all(&mut state, 30_000));
    assert!(early.iter().all(|(at, ..)| *at <= 9_999));
    assert_eq!(
        all,
        want.iter()
            .map(|(at, _, key, tag)| (*at, *key, *tag))
            .collect::<Vec<_>>()
    );
}

#[test]
fn equal_hashes_are_told_apart_by_key_bytes() {
    let mut state = state();
    for key in [3_u64, 1, 2] {
        state.set_timer(Timer::event(Timestamp::from_millis(5)), &key, 77);
        state.settle();
    }
    assert_eq!(fire_all(&mut state, 5), [(5, 1, 0), (5, 2, 0), (5, 3, 0)]);
}

#[test]
fn a_timer_that_is_set_again_fires_once_at_its_new_time() {
    let mut state = state();
    set(&mut state, 1, 10, 0);
    set(&mut state, 1, 20, 0);
    set(&mut state, 1, 15, 1);
    assert_eq!(fire_all(&mut state, 100), [(15, 1, 1), (20, 1, 0)]);
}

#[test]
fn a_cleared_timer_does_not_fire() {
    let mut state = state();
    set(&mut state, 1, 10, 0);
    state.clear_timer(Time::Event, 0, &1, hash(1));
    assert_eq!(fire_all(&mut state, 100), []);
}

#[test]
fn a_timer_set_while_timers_fire_comes_in_its_turn() {
    let mut state = state();
    set(&mut state, 1, 10, 0);
    set(&mut state, 1, 30, 1);
    let first = state
        .pop_due(Time::Event, Timestamp::from_millis(100))
        .unwrap();
    assert_eq!(first.timer.at.as_millis(), 10);
    set(&mut state, 1, 20, 2);
    assert_eq!(fire_all(&mut state, 100), [(20, 1, 2), (30, 1, 1)]);
}

#[test]
fn timers_and_values_of_a_key_share_a_row_and_leave_together() {
    let mut state = state();
    *state.entry::<u64>(1, &5, hash(5)) = Some(1);
    state.set_timer(Timer::event(Timestamp::from_millis(10)), &5, hash(5));
    state.settle();
    assert_eq!(fire_all(&mut state, 10), [(10, 5, 0)]);
    *state.entry::<u64>(1, &5, hash(5)) = None;
    state.settle();
    // A fresh row: the old one went with its last value.
    assert_eq!(*state.entry::<u64>(1, &5, hash(5)), None);
}

#[test]
fn a_timer_may_come_before_any_state_is_used() {
    let mut state = state();
    set(&mut state, 1, 10, 0);
    *state.entry::<String>(1, &1, hash(1)) = Some("held".to_owned());
    state.settle();
    assert_eq!(fire_all(&mut state, 10), [(10, 1, 0)]);
    assert_eq!(
        state.entry::<String>(1, &1, hash(1)).as_deref(),
        Some("held")
    );
}
