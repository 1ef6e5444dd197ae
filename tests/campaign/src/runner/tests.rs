//! The runner on a clock that ticks and campaigns that keep, break and panic.

use std::{
    future,
    sync::atomic::{AtomicU64, Ordering},
};

use futures::future::BoxFuture;
use levada_core::Timestamp;

use super::*;

/// A clock on which each look takes a second.
#[derive(Debug, Default)]
struct Ticks(AtomicU64);

impl Clock for Ticks {
    fn now(&self) -> Timestamp {
        Timestamp::MIN
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn sleep_until(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(future::ready(()))
    }
}

/// Cases that all hold, except those of the numbers given.
#[derive(Default)]
struct Numbers {
    ran: Vec<u64>,
    broken: Option<u64>,
    panicking: Option<u64>,
    /// Judged only once so many have run.
    needed: usize,
    /// So many must have run for the campaign to show anything.
    least: usize,
    /// So many must have run for a full campaign to keep what is promised of it.
    promised: usize,
}

impl Cases for Numbers {
    fn run(&mut self, number: u64) -> Result<(), Fault> {
        self.ran.push(number);
        assert_ne!(self.panicking, Some(number), "out of range");
        if self.broken == Some(number) {
            Err("lost a record".into())
        } else {
            Ok(())
        }
    }

    fn summary(&self) -> Vec<String> {
        vec![format!("ran {:?}", self.ran)]
    }

    fn judge(&self, extent: Extent) -> Result<Verdict, Fault> {
        match self.ran.len() {
            ran if extent == Extent::Full && ran < self.promised => Err("ten are promised".into()),
            ran if ran < self.needed => Ok(Verdict::NotJudged(format!("{ran} have run"))),
            ran if ran < self.least => Err("no kill".into()),
            _ => Ok(Verdict::Shown),
        }
    }
}

const SOUND: Campaign = Campaign {
    name: "sound",
    about: "Counts.",
    full: 9,
    ci: 3,
    weight: 1,
    start: || Ok(Box::new(Numbers::default())),
};
const BROKEN: Campaign = Campaign {
    name: "broken",
    start: || {
        Ok(Box::new(Numbers {
            broken: Some(1),
            ..Numbers::default()
        }))
    },
    ..SOUND
};
const PANICKING: Campaign = Campaign {
    name: "panicking",
    start: || {
        Ok(Box::new(Numbers {
            panicking: Some(0),
            ..Numbers::default()
        }))
    },
    ..SOUND
};
const IDLE: Campaign = Campaign {
    name: "idle",
    start: || {
        Ok(Box::new(Numbers {
            least: 4,
            ..Numbers::default()
        }))
    },
    ..SOUND
};
const CAREFUL: Campaign = Campaign {
    name: "careful",
    start: || {
        Ok(Box::new(Numbers {
            needed: 3,
            ..Numbers::default()
        }))
    },
    ..SOUND
};
const SHORT: Campaign = Campaign {
    name: "short",
    start: || {
        Ok(Box::new(Numbers {
            promised: 10,
            ..Numbers::default()
        }))
    },
    ..SOUND
};
const STUCK: Campaign = Campaign {
    name: "stuck",
    start: || Err("no folder".into()),
    ..SOUND
};

fn report(campaigns: &[Campaign], arguments: &str) -> (Result<bool, String>, String) {
    let words = ["campaign"].into_iter().chain(arguments.split_whitespace());
    let options = Options::try_parse_from(words).unwrap();
    let mut out = Vec::new();
    let kept = run(campaigns, &options, &Ticks::default(), &mut out);
    (
        kept.map_err(|error| error.to_string()),
        String::from_utf8(out).unwrap(),
    )
}

#[test]
fn ci_counts_run_unless_more_is_asked_for() {
    let (kept, text) = report(&[SOUND], "");
    assert_eq!(kept, Ok(true));
    assert!(text.contains("sound: ran [0, 1, 2]\n"), "{text}");
    let reached = "sound: reached 3 of CI count 3 (full: 9); next: --only sound --from 3";
    assert!(text.contains(reached), "{text}");
    assert!(
        report(&[SOUND], "--full")
            .1
            .contains("reached 9 of CI count 3")
    );
}

#[test]
fn a_run_goes_on_where_it_is_told() {
    let (_, text) = report(&[SOUND, BROKEN], "--only sound --from 2 --count 2");
    assert!(text.contains("ran [2, 3]"), "{text}");
    assert!(text.contains("reached 2 from case 2"), "{text}");
    assert!(!text.contains("broken"), "{text}");
}

#[test]
fn the_seconds_are_shared_by_weight() {
    let light = Campaign {
        name: "light",
        full: 99,
        ..SOUND
    };
    let heavy = Campaign {
        name: "heavy",
        weight: 3,
        ..light
    };
    let (_, text) = report(&[light, heavy], "--full --seconds 80");
    assert!(text.contains("light: reached 8 of"), "{text}");
    assert!(text.contains("heavy: reached 25 of"), "{text}");
}

#[test]
fn a_long_campaign_says_how_far_it_is() {
    let (_, text) = report(&[Campaign { ci: 10, ..SOUND }], "");
    let before_the_end = text.split("ran [").next().unwrap();
    assert!(
        before_the_end.contains("next: --only sound --from 5"),
        "{text}"
    );
}

#[test]
fn a_broken_case_fails_the_run_and_names_the_command_that_repeats_it() {
    let (kept, text) = report(&[BROKEN, SOUND], "");
    assert_eq!(kept, Ok(false));
    assert!(
        text.contains("FAILED broken, case 1: lost a record"),
        "{text}"
    );
    assert!(
        text.contains("cargo campaign --only broken --from 1 --count 1"),
        "{text}"
    );
    assert!(
        text.contains("sound: reached 3 of"),
        "the others still run: {text}"
    );
}

#[test]
fn a_panic_is_a_broken_case() {
    let (kept, text) = report(&[PANICKING], "");
    assert_eq!(kept, Ok(false));
    assert!(
        text.contains("FAILED panicking, case 0: panicked: "),
        "{text}"
    );
    assert!(text.contains("out of range"), "{text}");
}

#[test]
fn a_campaign_that_proves_too_little_fails() {
    let (kept, text) = report(&[IDLE], "");
    assert_eq!(kept, Ok(false));
    assert!(text.contains("FAILED idle: no kill"), "{text}");
    assert_eq!(
        report(&[IDLE], "--only idle --count 1").0,
        Ok(true),
        "a case is no campaign"
    );
}

#[test]
fn all_cases_in_one_run_are_judged_by_what_is_promised_of_them() {
    let (kept, text) = report(&[SHORT], "--full");
    assert_eq!(kept, Ok(false));
    assert!(text.contains("FAILED short: ten are promised"), "{text}");
    for part in ["", "--full --seconds 4", "--only short --full --from 1"] {
        assert_eq!(report(&[SHORT], part).0, Ok(true), "{part}");
    }
}

#[test]
fn a_campaign_that_was_not_judged_says_so_and_fails_where_it_was_to_be() {
    let said = "careful: NOT JUDGED: 2 have run\n";
    let (kept, text) = report(&[CAREFUL], "--only careful --from 1");
    assert_eq!((kept, text.contains(said)), (Ok(true), true), "{text}");
    let (kept, text) = report(&[CAREFUL], "--only careful --from 1 --judged");
    assert_eq!((kept, text.contains(said)), (Ok(false), true), "{text}");
    let failed = "FAILED careful: it was to be judged, and 2 have run";
    assert!(text.contains(failed), "{text}");

    let (kept, text) = report(&[CAREFUL], "--judged");
    assert_eq!(kept, Ok(true));
    assert!(!text.contains("NOT JUDGED"), "{text}");
    let (kept, text) = report(&[CAREFUL], "--only careful --count 3");
    assert_eq!(kept, Ok(true));
    assert!(
        text.contains("NOT JUDGED: --count picked its cases"),
        "{text}"
    );
}

#[test]
fn a_campaign_that_does_not_start_fails() {
    let (kept, text) = report(&[STUCK], "");
    assert_eq!(kept, Ok(false));
    assert!(
        text.contains("FAILED stuck did not start: no folder"),
        "{text}"
    );
}

#[test]
fn listing_runs_nothing() {
    let (kept, text) = report(&[BROKEN], "--list");
    assert_eq!(kept, Ok(true));
    assert_eq!(text, "broken: Counts.\n    3 cases in CI, 9 in full\n");
}

#[test]
fn asking_for_nothing_is_an_error() {
    assert!(
        report(&[SOUND], "--only sond")
            .0
            .unwrap_err()
            .contains("`sond`")
    );
    assert!(
        report(&[SOUND], "--only sound --from 3")
            .0
            .unwrap_err()
            .contains("before case 3")
    );
    assert!(report(&[], "").0.is_err());
}
