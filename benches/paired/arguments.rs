//! The arguments of a bench.

use std::{
    env,
    path::{Path, PathBuf},
};

pub use super::program::Scale;

/// What a bench was asked for.
#[derive(Debug)]
pub struct Arguments {
    /// What to do.
    pub mode: Mode,
    /// How long, and how often.
    pub scale: Scale,
    only: Option<String>,
    given: Given,
}

/// The arguments, as they were given.
#[derive(Debug)]
struct Given(Vec<String>);

/// What a bench does.
#[derive(Debug, PartialEq, Eq)]
pub enum Mode {
    /// Run our program of one workload, for the process that pairs it.
    Child {
        /// How many.
        events: u64,
    },
    /// Run our programs on little input.
    Smoke,
    /// Measure, beside the peers in this folder if there is one.
    Measure {
        /// Their folder.
        peers: Option<PathBuf>,
    },
}

impl Arguments {
    /// Reads what is ours and leaves the rest: cargo passes arguments of its own.
    ///
    /// # Errors
    ///
    /// The argument that has no value, or a wrong one.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let given = Given(arguments.collect());
        let events = given.number("--events")?;
        let child = given.value("--run")?.cloned();
        let mode = match (&child, events) {
            (Some(_), Some(events)) => Mode::Child { events },
            (Some(_), None) => return Err("`--run` needs `--events`".to_owned()),
            (None, _) if given.has("--check") => Mode::Measure {
                peers: Some(peers(given.value("--peers")?)),
            },
            (None, _) if given.has("--smoke") || !given.has("--bench") => Mode::Smoke,
            (None, _) => Mode::Measure { peers: None },
        };
        let mut scale = match &mode {
            Mode::Measure { peers: Some(_) } => Scale::CHECK,
            _ => Scale::LOOK,
        };
        scale.seconds = given.number("--seconds")?.unwrap_or(scale.seconds);
        if let Some(rounds) = given.number("--rounds")? {
            scale.rounds = usize::try_from(rounds).map_err(|error| error.to_string())?;
        }
        let only = child.or(given.value("--only")?.cloned());
        Ok(Self {
            mode,
            scale,
            only,
            given,
        })
    }

    /// True if this workload was not left out.
    pub fn wants(&self, workload: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == workload)
    }

    /// True if an argument was given that only this bench knows.
    pub fn has(&self, name: &str) -> bool {
        self.given.has(name)
    }

    /// The number behind an argument that only this bench knows, if it was given.
    ///
    /// # Errors
    ///
    /// There is no number behind it, or 0.
    pub fn number(&self, name: &str) -> Result<Option<u64>, String> {
        self.given.number(name)
    }
}

impl Given {
    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|argument| argument == name)
    }

    fn value(&self, name: &str) -> Result<Option<&String>, String> {
        let Some(at) = self.0.iter().position(|argument| argument == name) else {
            return Ok(None);
        };
        let value = self.0.get(at + 1);
        value
            .map(Some)
            .ok_or_else(|| format!("`{name}` needs a value"))
    }

    fn number(&self, name: &str) -> Result<Option<u64>, String> {
        let number = self.value(name)?.map(|text| {
            let number = text.parse::<u64>().ok().filter(|number| *number > 0);
            number.ok_or_else(|| format!("`{name} {text}`: a whole number above 0 is needed"))
        });
        number.transpose()
    }
}

/// The folder of the peers. Cargo starts a bench in its package, but nobody types paths from there.
fn peers(given: Option<&String>) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let shared = env::var_os("LEVADA_SHARED").map_or_else(|| "../shared".into(), PathBuf::from);
    root.join(given.map_or_else(|| shared.join("peers"), PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(line: &str) -> Result<Mode, String> {
        Arguments::parse(line.split_whitespace().map(str::to_owned)).map(|it| it.mode)
    }

    #[test]
    fn a_bench_that_cargo_does_not_measure_is_a_smoke() {
        assert_eq!(mode(""), Ok(Mode::Smoke));
        assert_eq!(mode("--bench --smoke"), Ok(Mode::Smoke));
        assert_eq!(mode("--bench"), Ok(Mode::Measure { peers: None }));
    }

    #[test]
    fn a_check_has_peers_and_a_child_has_events() {
        let Ok(Mode::Measure { peers: Some(peers) }) = mode("--check --peers elsewhere --bench")
        else {
            panic!("a check measures beside peers");
        };
        assert!(peers.ends_with("../elsewhere"));
        assert_eq!(mode("--run w1 --events 7"), Ok(Mode::Child { events: 7 }));
        assert_eq!(mode("--run w1"), Err("`--run` needs `--events`".to_owned()));
    }

    #[test]
    fn what_is_not_ours_is_left_to_cargo_and_a_wrong_number_is_named() {
        assert_eq!(
            mode("--bench --color never"),
            Ok(Mode::Measure { peers: None })
        );
        assert!(
            mode("--bench --seconds soon")
                .unwrap_err()
                .contains("`--seconds soon`")
        );
    }

    #[test]
    fn a_bench_may_have_numbers_of_its_own() {
        let given = ["--kills", "7", "--gib", "0", "--seeds"].map(str::to_owned);
        let given = Arguments::parse(given.into_iter()).unwrap();
        assert_eq!(given.number("--kills"), Ok(Some(7)));
        assert_eq!(given.number("--rounds"), Ok(None));
        assert!(given.number("--gib").unwrap_err().contains("`--gib 0`"));
        assert!(
            given
                .number("--seeds")
                .unwrap_err()
                .contains("needs a value")
        );
    }
}
