//! The coordinator of a commit unit: cuts the stream, and knows how far it has come.
//!
//! A plain machine. It has at most one checkpoint under way. A task that has ended counts as having
//! passed every later barrier, with the positions that it ended with. A checkpoint is complete when
//! all have passed: then everything below its positions is done, or held by a task that said so.
//!
//! The engine's conductor feeds it with what tasks report, and does what it answers.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//!
//! use levada_core::{
//!     coordinator::{Coordinator, Effect, Ending, Outcome},
//!     stage::Positions,
//!     task::Report,
//! };
//!
//! /// Everything of split 0 below this offset was read and is done.
//! fn at(offset: u64) -> Positions {
//!     let mut positions = Positions::default();
//!     positions.read(0, offset);
//!     positions
//! }
//!
//! let second = Duration::from_secs(1);
//! let mut coordinator = Coordinator::new(2, second);
//! assert!(coordinator.look(second, 0).is_none(), "nothing was read");
//!
//! // 10 records were read: it cuts the stream, and waits until both tasks were passed.
//! let Some(Effect::Inject(cut)) = coordinator.look(second * 2, 10) else { panic!("no cut") };
//! assert!(coordinator.hear(0, Report::Passed(cut, at(10))).is_empty());
//! let effects = coordinator.hear(1, Report::Passed(cut, Positions::default()));
//! assert!(matches!(&effects[..], [Effect::Completed(positions)] if *positions == at(10)));
//!
//! // A stop is a last cut. A task that has ended counts as having passed it.
//! let Some(Effect::Inject(last)) = coordinator.end(Ending::Stop) else { panic!("no cut") };
//! assert!(last.last);
//! coordinator.hear(0, Report::Passed(last, at(12)));
//! let effects = coordinator.hear(1, Report::Ended(Positions::default()));
//! assert!(matches!(&effects[..], [Effect::Completed(_), Effect::Done(Outcome::Stopped)]));
//! ```

use std::time::Duration;

use crate::{chain::Failure, port::Barrier, stage::Positions, task::Report};

/// How a pipeline is to come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A last checkpoint, then stop; what is left is done by the next run.
    Stop,
    /// Sources end, and everything is finished.
    Drain,
    /// Now.
    Abort,
}

/// What the coordinator wants done.
#[derive(Debug)]
pub enum Effect {
    /// Tell every task to cut here: sources do, and those whose inputs have all ended.
    Inject(Barrier),
    /// Tell every source to end.
    Drain,
    /// Tell every task to stop at once.
    Abort,
    /// A checkpoint is complete: this is how far the splits have come.
    Completed(Positions),
    /// Every task is done.
    Done(Outcome),
}

/// How a pipeline came to its end.
#[derive(Debug)]
pub enum Outcome {
    /// The input has ended and all is done.
    Finished,
    /// It was stopped; the next run goes on.
    Stopped,
    /// It was stopped at once.
    Aborted,
    /// Some task could not be opened.
    NotOpened(String),
    /// Some task could not go on.
    Failed(Failure),
}

/// Whether anything follows a barrier.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    GoesOn,
    Last,
}

#[derive(Clone, Debug, Default)]
struct Member {
    done: bool,
    passed: u64,
    positions: Positions,
}

/// The state of a commit unit.
#[derive(Debug)]
pub struct Coordinator {
    members: Vec<Member>,
    /// The last checkpoint that was begun.
    checkpoint: u64,
    under_way: Option<Barrier>,
    last_look: Duration,
    /// What sources had read when the last checkpoint began.
    read_before: u64,
    /// How far the last complete checkpoint had come.
    reached: Positions,
    /// It had come further than the one before, or held records that were not done.
    unsettled: bool,
    interval: Duration,
    ending: Option<Ending>,
    /// The first thing that went wrong.
    failed: Option<Outcome>,
    life: Life,
}

/// How far a unit is with its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Running,
    /// Every task was told to stop at once: nothing completes any more.
    Aborted,
    Finished,
}

impl Coordinator {
    /// Coordinates so many tasks, with a checkpoint every `interval` while something moves.
    pub fn new(tasks: usize, interval: Duration) -> Self {
        Self {
            members: vec![Member::default(); tasks],
            checkpoint: 0,
            under_way: None,
            last_look: Duration::ZERO,
            read_before: 0,
            reached: Positions::default(),
            unsettled: false,
            interval,
            ending: None,
            failed: None,
            life: Life::Running,
        }
    }

    /// When it wants to look at the time again.
    pub fn next_look(&self) -> Duration {
        self.last_look + self.interval
    }

    /// Looks at the time: begins a checkpoint if one is due and there is something to find out.
    ///
    /// That is, sources have read on since the last, or the last did not find everything done.
    pub fn look(&mut self, now: Duration, records_read: u64) -> Option<Effect> {
        if now < self.next_look() {
            return None;
        }
        self.last_look = now;
        let moved = self.read_before != records_read || self.unsettled;
        if !moved || self.under_way.is_some() || self.ending == Some(Ending::Abort) {
            return None;
        }
        self.read_before = records_read;
        Some(self.begin(Cut::GoesOn))
    }

    fn begin(&mut self, cut: Cut) -> Effect {
        self.checkpoint += 1;
        let barrier = Barrier {
            checkpoint: self.checkpoint,
            last: cut == Cut::Last,
        };
        self.under_way = Some(barrier);
        Effect::Inject(barrier)
    }

    /// Is told to bring the pipeline to its end. What it is told first counts: only an abort
    /// overrules that.
    pub fn end(&mut self, ending: Ending) -> Option<Effect> {
        let overrules = |before| ending == Ending::Abort && before != Ending::Abort;
        if self.ending.is_some_and(|before| !overrules(before)) {
            return None;
        }
        self.ending = Some(ending);
        match ending {
            Ending::Stop if self.under_way.is_none() => Some(self.begin(Cut::Last)),
            // The last barrier follows when the checkpoint under way is complete.
            Ending::Stop => None,
            Ending::Drain => Some(Effect::Drain),
            Ending::Abort => self.abort(),
        }
    }

    /// Hears from a task.
    pub fn hear(&mut self, task: usize, report: Report) -> Vec<Effect> {
        let mut effects = Vec::new();
        let member = &mut self.members[task];
        match report {
            Report::Passed(barrier, positions) => {
                member.passed = barrier.checkpoint;
                member.positions = positions;
                member.done |= barrier.last;
            }
            Report::Ended(positions) => {
                member.done = true;
                member.positions = positions;
            }
            Report::Aborted => member.done = true,
            Report::NotOpened(why) => {
                member.done = true;
                self.failed.get_or_insert(Outcome::NotOpened(why));
                effects.extend(self.abort());
            }
            Report::Failed(failure) => {
                member.done = true;
                self.failed.get_or_insert(Outcome::Failed(failure));
                effects.extend(self.abort());
            }
        }
        self.complete(&mut effects);
        effects
    }

    fn complete(&mut self, effects: &mut Vec<Effect>) {
        let all_done = self.members.iter().all(|member| member.done);
        let passed = |checkpoint| {
            self.members
                .iter()
                .all(|member| member.done || member.passed >= checkpoint)
        };
        let complete = self
            .under_way
            .is_some_and(|barrier| passed(barrier.checkpoint));
        if (complete || all_done) && self.life == Life::Running {
            let mut positions = Positions::default();
            for member in &self.members {
                positions.merge(&member.positions);
            }
            let held = positions
                .iter()
                .any(|(_, position)| position.unfinished.is_some());
            self.unsettled = held || positions != self.reached;
            self.reached.clone_from(&positions);
            effects.push(Effect::Completed(positions));
            self.under_way = None;
        }
        if all_done && self.life != Life::Finished {
            effects.push(Effect::Done(self.outcome()));
            self.life = Life::Finished;
        } else if complete && self.ending == Some(Ending::Stop) {
            effects.push(self.begin(Cut::Last));
        }
    }

    fn abort(&mut self) -> Option<Effect> {
        let first = self.life == Life::Running;
        self.life = Life::Aborted;
        first.then_some(Effect::Abort)
    }

    fn outcome(&mut self) -> Outcome {
        self.failed.take().unwrap_or(match self.ending {
            _ if self.life == Life::Aborted => Outcome::Aborted,
            Some(Ending::Stop) => Outcome::Stopped,
            _ => Outcome::Finished,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Place;
    use crate::record::Origin;

    const SECOND: Duration = Duration::from_secs(1);

    fn read_to(offset: u64) -> Positions {
        let mut positions = Positions::default();
        positions.read(0, offset);
        positions
    }

    fn holding(offset: u64) -> Positions {
        let mut positions = Positions::default();
        positions.unfinished(Origin { split: 0, offset });
        positions
    }

    fn injected(effect: Option<Effect>) -> Barrier {
        match effect {
            Some(Effect::Inject(barrier)) => barrier,
            other => panic!("no barrier but {other:?}"),
        }
    }

    fn done_at(effects: &[Effect]) -> Option<u64> {
        effects.iter().find_map(|effect| match effect {
            Effect::Completed(positions) => positions.iter().next()?.1.done(),
            _ => None,
        })
    }

    #[test]
    fn a_checkpoint_is_complete_when_every_task_has_passed_and_not_before() {
        let mut coordinator = Coordinator::new(2, SECOND);
        let barrier = injected(coordinator.look(SECOND, 1));
        assert!(
            coordinator
                .hear(0, Report::Passed(barrier, read_to(10)))
                .is_empty()
        );
        let effects = coordinator.hear(1, Report::Passed(barrier, holding(7)));
        assert_eq!(done_at(&effects), Some(7));
    }

    #[test]
    fn an_ended_task_has_passed_every_later_barrier() {
        let mut coordinator = Coordinator::new(2, SECOND);
        assert!(coordinator.hear(0, Report::Ended(read_to(10))).is_empty());
        let barrier = injected(coordinator.look(SECOND, 1));
        let effects = coordinator.hear(1, Report::Passed(barrier, Positions::default()));
        assert_eq!(done_at(&effects), Some(10));
    }

    #[test]
    fn one_checkpoint_is_under_way_at_most_and_none_where_nothing_moves() {
        let mut coordinator = Coordinator::new(1, SECOND);
        assert!(coordinator.look(SECOND, 0).is_none());
        injected(coordinator.look(SECOND * 2, 1));
        assert!(coordinator.look(SECOND * 3, 2).is_none());
    }

    #[test]
    fn a_stop_waits_for_the_checkpoint_under_way_and_then_cuts_for_the_last_time() {
        let mut coordinator = Coordinator::new(1, SECOND);
        let first = injected(coordinator.look(SECOND, 1));
        assert!(coordinator.end(Ending::Stop).is_none());
        let mut effects = coordinator.hear(0, Report::Passed(first, read_to(1)));
        let last = injected(effects.pop());
        assert!(last.last);
        let effects = coordinator.hear(0, Report::Passed(last, read_to(2)));
        assert_eq!(done_at(&effects), Some(2));
        assert!(matches!(
            effects.last(),
            Some(Effect::Done(Outcome::Stopped))
        ));
    }

    #[test]
    fn a_failure_aborts_the_others_and_completes_nothing() {
        let mut coordinator = Coordinator::new(2, SECOND);
        let origin = Origin {
            split: 0,
            offset: 3,
        };
        let failure = Failure {
            place: Place::Step(0),
            origin,
            reason: "broken".into(),
        };
        let effects = coordinator.hear(0, Report::Failed(failure));
        assert!(matches!(effects.as_slice(), [Effect::Abort]));
        let effects = coordinator.hear(1, Report::Aborted);
        assert!(matches!(
            effects.as_slice(),
            [Effect::Done(Outcome::Failed(_))]
        ));
    }

    #[test]
    fn a_stopped_unit_is_not_drained_any_more() {
        let mut coordinator = Coordinator::new(1, SECOND);
        let last = injected(coordinator.end(Ending::Stop));
        assert!(coordinator.end(Ending::Drain).is_none());
        let effects = coordinator.hear(0, Report::Passed(last, read_to(1)));
        assert!(matches!(
            effects.last(),
            Some(Effect::Done(Outcome::Stopped))
        ));
    }

    #[test]
    fn an_abort_overrules_a_drain_and_a_stop_does_not() {
        let mut coordinator = Coordinator::new(1, SECOND);
        assert!(matches!(
            coordinator.end(Ending::Drain),
            Some(Effect::Drain)
        ));
        assert!(coordinator.end(Ending::Stop).is_none());
        assert!(matches!(
            coordinator.end(Ending::Abort),
            Some(Effect::Abort)
        ));
    }
}
