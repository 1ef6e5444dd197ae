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
}

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
        let arguments: Vec<String> = arguments.collect();
        let given = |name: &str| arguments.iter().any(|argument| argument == name);
        let value = |name: &str| {
            let at = arguments.iter().position(|argument| argument == name)?;
            Some(
                arguments
                    .get(at + 1)
                    .ok_or_else(|| format!("`{name}` needs a value")),
            )
        };
        let number = |name: &str| {
            let number = value(name).transpose()?.map(|text| {
                let number = text.parse::<u64>().ok().filter(|number| *number > 0);
                number.ok_or_else(|| format!("`{name} {text}`: a whole number above 0 is needed"))
            });
            number.transpose()
        };
        let events = number("--events")?;
        let child = value("--run").transpose()?.cloned();
        let mode = match (&child, events) {
            (Some(_), Some(events)) => Mode::Child { events },
            (Some(_), None) => return Err("`--run` needs `--events`".to_owned()),
            (None, _) if given("--check") => Mode::Measure {
                peers: Some(peers(value("--peers").transpose()?)),
            },
            (None, _) if given("--smoke") || !given("--bench") => Mode::Smoke,
            (None, _) => Mode::Measure { peers: None },
        };
        let mut scale = match &mode {
            Mode::Measure { peers: Some(_) } => Scale::CHECK,
            _ => Scale::LOOK,
        };
        scale.seconds = number("--seconds")?.unwrap_or(scale.seconds);
        if let Some(rounds) = number("--rounds")? {
            scale.rounds = usize::try_from(rounds).map_err(|error| error.to_string())?;
        }
        let only = child.or(value("--only").transpose()?.cloned());
        Ok(Self { mode, scale, only })
    }

    /// True if this workload was not left out.
    pub fn wants(&self, workload: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == workload)
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
}
